// Which predicted bytes a measured peak means.
//
//   allocated  what the framework's allocator handed out (torch max_memory_allocated): no slack, no context
//   reserved   what it took from the device (max_memory_reserved): slack included
//   device     what nvidia-smi shows: context, communication buffers and libraries included
// and of which rank: the last pipeline stage, the stages that hold the embedding (first, last), or the worst.

import type { DeviceSpec } from "../cluster/types.ts";
import type { Software } from "../parallel/strategy.ts";
import type { MemoryBreakdown } from "../simulate/types.ts";
import { argsOf, child, flag, flagsOf, num, type Row, text } from "./rowReader.ts";

export interface MeasuredPeak {
  readonly bytes: number;
  readonly counts: "allocated" | "reserved" | "device" | "states+activations";
  readonly ranks: "last" | "ends" | "worst" | "first";
}

const GIB = 2 ** 30;

export function measuredPeakOf(row: Row): MeasuredPeak | undefined {
  const measured = child(row, "measured");
  const kind = `${text(measured, "mem_kind") ?? ""} ${text(flagsOf(row), "memory_kind") ?? ""}`.toLowerCase();
  const gib = num(measured, "peak_mem_gib");
  const gb = num(measured, "peak_mem_gb");
  if (gib === undefined && gb === undefined) return analyticPeak(measured);
  const counts =
    /nvidia-smi/.test(kind) && !/allocator/.test(kind)
      ? "device"
      : /max_(memory_)?allocated/.test(kind)
        ? "allocated"
        : "reserved";
  const ranks = /last rank|last pipeline/.test(kind) ? "last" : /first\/last/.test(kind) ? "ends" : "worst";
  // nvidia-smi prints MiB, which people round to thousands. torchtitan's log prints GiB whatever a table calls it.
  const gbBytes = counts === "device" ? 1000 * 2 ** 20 : /torchtitan/i.test(text(row, "framework") ?? "") ? GIB : 1e9;
  return { bytes: gib !== undefined ? gib * GIB : (gb ?? 0) * gbBytes, counts, ranks };
}

/** arXiv 2205.05198, figure 1: parameters with optimizer, plus activations, of the first stage. */
function analyticPeak(measured: Row): MeasuredPeak | undefined {
  const states = num(measured, "param_opt_gib");
  const activations = num(measured, "activation_gib");
  if (states === undefined || activations === undefined) return undefined;
  return { bytes: (states + activations) * GIB, counts: "states+activations", ranks: "first" };
}

const MIB = 2 ** 20;

/**
 * What matrix libraries hold of torch's allocator, so that it counts as allocated; on the device it is among the reserved bytes. cuBLAS: one workspace for each
 * handle, of which the forward's and autograd's thread have one each: 32 MiB since Hopper, else 8 (PyTorch, CUDA semantics, cuBLAS workspaces), but 32 for
 * deterministic kernels (CUBLAS_WORKSPACE_CONFIG=:4096:8, which they ask for). Transformer Engine: one more of 32 MiB, else 4 (module/base.py,
 * get_cublas_workspace_size_bytes).
 */
export function libraryWorkspaceBytes(row: Row, device: DeviceSpec, software: Software): number {
  if (device.vendor !== "NVIDIA") return 0;
  const args = argsOf(row);
  const large = /hopper|blackwell/i.test(device.arch);
  const handle = large || flag(args, "deterministic-mode") === true ? 32 : 8;
  const hasEngine = software.placeholderGrads === true && text(args, "transformer-impl") !== "local";
  return (2 * handle + (hasEngine ? (large ? 32 : 4) : 0)) * MIB;
}

/** Bytes of one rank under a way of counting. */
function countedBytes(memory: MemoryBreakdown, counts: MeasuredPeak["counts"], libraryBytes: number): number {
  const states = memory.parameterBytes + memory.gradientBytes + memory.optimizerBytes;
  const alive = states + memory.activationBytes + memory.workspaceBytes;
  switch (counts) {
    case "states+activations":
      return states + memory.activationBytes;
    case "allocated":
      return alive + libraryBytes;
    case "reserved":
      return alive + memory.fragmentationBytes + libraryBytes;
    case "device":
      return alive + memory.fragmentationBytes + memory.reservedBytes;
  }
}

/** @param libraryBytes of the allocator, in libraries' hands. */
export function predictedPeak(
  ranks: readonly { readonly pipelineRank: number; readonly memory: MemoryBreakdown }[],
  peak: Pick<MeasuredPeak, "counts" | "ranks">,
  libraryBytes = 0,
): number {
  const last = Math.max(...ranks.map((rank) => rank.pipelineRank));
  const isWanted = (pipelineRank: number): boolean => {
    switch (peak.ranks) {
      case "first":
        return pipelineRank === 0;
      case "last":
        return pipelineRank === last;
      case "ends":
        return pipelineRank === 0 || pipelineRank === last;
      case "worst":
        return true;
    }
  };
  const wanted = ranks.filter((rank) => isWanted(rank.pipelineRank));
  return Math.max(...wanted.map((rank) => countedBytes(rank.memory, peak.counts, libraryBytes)));
}
