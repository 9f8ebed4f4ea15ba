// The kernel model with the tables that ship with the library.

import { devices } from "../../cluster/index.ts";
import type { DeviceSpec } from "../../cluster/types.ts";
import { measuredKernel } from "../measurements/measuredPrice.ts";
import type { Cost, KernelQuery } from "../types.ts";
import { coreCost } from "./coreModel.ts";
import attention from "./data/attention.json" with { type: "json" };
import attentionTrain from "./data/attentionTrain.json" with { type: "json" };
import decode from "./data/decode.json" with { type: "json" };
import elementwise from "./data/elementwise.json" with { type: "json" };
import gemm from "./data/gemm.json" with { type: "json" };
import gemmTrain from "./data/gemmTrain.json" with { type: "json" };
import groupedTrain from "./data/groupedTrain.json" with { type: "json" };
import mixed from "./data/mixed.json" with { type: "json" };
import mlaDecode from "./data/mlaDecode.json" with { type: "json" };
import mlaPrefill from "./data/mlaPrefill.json" with { type: "json" };
import moe from "./data/moe.json" with { type: "json" };
import { createKernelModel, type ElementwiseQuery, type KernelTables } from "./kernelModel.ts";
import type { MixedShape } from "./mixedModel.ts";
import type { KernelConditions } from "./pricing.ts";

const byId: ReadonlyMap<string, DeviceSpec> = new Map(devices.map((device) => [device.id, device]));

// The generator (scripts/calibrateKernels.ts) writes exactly these shapes; JSON imports type every literal, which matches no interface.
const tables = {
  gemm,
  gemmTrain,
  groupedTrain,
  attentionTrain,
  attention,
  decode,
  mlaPrefill,
  mlaDecode,
  moe,
  elementwise,
  mixed,
} as unknown as KernelTables;
const model = createKernelModel(tables, byId);

/**
 * Seconds one kernel takes on `device`, where the figure came from and one relative standard deviation.
 * Pure and deterministic; a few microseconds a call.
 */
export function kernelCost(device: DeviceSpec, query: KernelQuery, conditions?: KernelConditions): Cost {
  const cost = modelledCost(device, query, conditions);
  if (device.measured === undefined) return cost;
  return measuredKernel(device, query, cost, modelledCost);
}

function modelledCost(device: DeviceSpec, query: KernelQuery, conditions?: KernelConditions): Cost {
  const ofCore = device.dispatchSec === undefined ? null : coreCost(device, query);
  return ofCore ?? model.cost(device, query, conditions);
}

/** Seconds of one named elementwise kernel of an inference engine, on warm buffers. */
export function elementwiseCost(device: DeviceSpec, query: ElementwiseQuery): Cost {
  return model.elementwise(device, query);
}

/** Seconds of one attention call of an inference engine over a prefill chunk and decodes together. */
export function mixedAttentionCost(device: DeviceSpec, shape: MixedShape, dtype: string): Cost {
  return model.mixed(device, shape, dtype);
}
