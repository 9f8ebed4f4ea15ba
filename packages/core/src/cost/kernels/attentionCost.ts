// What attention costs: whole passes forward and backward, one decode step, and latent attention.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { AttentionQuery, Cost, DecodeAttentionQuery, MlaAttentionQuery } from "../types.ts";
import { backwardRatio, forwardSpeed } from "./attentionImpl.ts";
import { ATTENTION_PARAMS, attentionSeconds, DECODE_PARAMS, decodeSeconds } from "./attentionModel.ts";
import { attentionResidual, decodeResidual, mlaResidual, TRAIN_LOOKUPS } from "./lookups.ts";
import { type KernelConditions, price, relativeClock, starts, trainRatio } from "./pricing.ts";
import type { TableFamily } from "./registry.ts";
import { archFamily, kernelFloorSec, peakFlopsPerSec } from "./roofline.ts";
import { attentionShape, decodeShape, mlaDecodeShape, mlaPrefillShape } from "./shapes.ts";

const ATTENTION_START = starts(ATTENTION_PARAMS);
const DECODE_START = starts(DECODE_PARAMS);

/** Waves after which a device counts as full, and the share of the forward pass's uneven part that backward keeps (attention_train, few heads). */
const FULL_WAVES = 16;
const BACKWARD_TAIL = 0.3;

export interface AttentionCosts {
  attention(device: DeviceSpec, query: AttentionQuery, conditions: KernelConditions): Cost;
  decode(device: DeviceSpec, query: DecodeAttentionQuery, warm: boolean): Cost;
  mla(device: DeviceSpec, query: MlaAttentionQuery, warm: boolean): Cost;
}

type Families = Readonly<Record<"attention" | "attentionTrain" | "decode" | "mlaPrefill" | "mlaDecode", TableFamily>>;

/** @param devices of the tables, by id. */
export function attentionCosts(
  { attention, attentionTrain, decode, mlaPrefill, mlaDecode }: Families,
  devices: ReadonlyMap<string, DeviceSpec>,
): AttentionCosts {
  function attentionCost(device: DeviceSpec, query: AttentionQuery, conditions: KernelConditions): Cost {
    const warm = conditions.warm ?? false;
    const arch = archFamily(device);
    const speed = forwardSpeed(arch, query.impl);
    const forwardOf = (batch: number): Cost => {
      const shape = attentionShape({ ...query, batch }, warm);
      const workFlops = 2 * batch * shape.heads * shape.pairs * (shape.headDim + shape.vHeadDim);
      return price(attention, device, query.dtype, ATTENTION_START, (params, table) => {
        const residual = Math.exp(table === undefined ? 0 : attentionResidual(table, query, batch, query.seqQ));
        const measuredSec = attentionSeconds(device, shape, params, speed) * residual;
        const clock = relativeClock(
          devices,
          device,
          table,
          query.dtype,
          workFlops / measuredSec / peakFlopsPerSec(device, query.dtype),
          conditions,
        );
        return clock === 1 ? measuredSec : attentionSeconds(device, shape, params, speed * clock) * residual;
      });
    };
    const forward = forwardOf(query.batch);
    const coordinates = [
      query.phase === "backward" ? 1 : 0,
      query.seqQ,
      query.heads * query.batch,
      query.kvHeads * query.batch,
      query.headDim,
    ];
    const trained =
      warm || query.impl === "flash1"
        ? 1
        : trainRatio(attentionTrain, device, query.dtype, coordinates, TRAIN_LOOKUPS.attention);
    if (query.phase === "forward")
      return trained === 1 ? forward : { ...forward, durationSec: forward.durationSec * trained };
    // Backward has more and more equal tiles (key blocks too), so its last wave costs less: part of it goes at the rate of a full device.
    const filling = Math.max(
      1,
      Math.ceil((FULL_WAVES * device.units) / (Math.ceil(query.seqQ / 128) * query.heads * query.batch)),
    );
    const fullSec = filling === 1 ? forward.durationSec : forwardOf(query.batch * filling).durationSec / filling;
    const unevenSec = Math.max(0, forward.durationSec - fullSec);
    const durationSec =
      3 * kernelFloorSec(device) +
      (fullSec + BACKWARD_TAIL * unevenSec) * backwardRatio(arch, query.impl, query.headDim);
    return { ...forward, durationSec: durationSec * trained, relStd: Math.hypot(forward.relStd, 0.08) };
  }

  function decodeCost(device: DeviceSpec, query: DecodeAttentionQuery, warm: boolean): Cost {
    const shape = decodeShape(query, warm);
    return price(decode, device, query.dtype, DECODE_START, (params, table) => {
      const residual = table === undefined ? 0 : decodeResidual(table, query);
      return decodeSeconds(device, shape, params) * Math.exp(residual);
    });
  }

  function mlaCost(device: DeviceSpec, query: MlaAttentionQuery, warm: boolean): Cost {
    if (query.phase === "prefill") {
      return price(mlaPrefill, device, query.dtype, ATTENTION_START, (params, table) => {
        const residual = table === undefined ? 0 : mlaResidual(table, query.batch, query.seq, query.heads);
        return attentionSeconds(device, mlaPrefillShape(query, warm), params) * Math.exp(residual);
      });
    }
    return price(mlaDecode, device, query.dtype, DECODE_START, (params, table) => {
      const residual = table === undefined ? 0 : mlaResidual(table, query.batch, query.seq, query.heads);
      return decodeSeconds(device, mlaDecodeShape(query, warm), params) * Math.exp(residual);
    });
  }

  return { attention: attentionCost, decode: decodeCost, mla: mlaCost };
}
