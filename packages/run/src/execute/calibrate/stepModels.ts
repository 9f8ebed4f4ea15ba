// The models whose training steps are timed: widths, depths and lengths of what a machine without accelerators trains. Kernels meet their operands in them as in any
// other step: activations as the op before left them, parameters, gradients and optimizer state as the last pass over the whole model did.

import { type ResolvedSpec, resolveSpec } from "@meshwright/core/spec";

export interface StepModel {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly ffn: number;
  readonly vocab: number;
  /** Tokens of a micro-batch: one sequence. */
  readonly seq: number;
}

type Width = Omit<StepModel, "seq">;

/** Heads are 16, 32 and 64 wide at most lengths: attention's rate follows both. */
const widths: readonly (readonly [Width, readonly number[]])[] = [
  [{ hidden: 64, layers: 8, heads: 4, kvHeads: 2, ffn: 192, vocab: 256 }, [16, 32, 64, 128, 256, 512, 1024]],
  [{ hidden: 128, layers: 6, heads: 4, kvHeads: 4, ffn: 512, vocab: 256 }, [32, 64, 128, 256, 512]],
  [{ hidden: 256, layers: 6, heads: 4, kvHeads: 4, ffn: 704, vocab: 1024 }, [32, 64, 128, 256, 512]],
  [{ hidden: 512, layers: 3, heads: 8, kvHeads: 8, ffn: 1408, vocab: 2048 }, [64, 256]],
  [{ hidden: 1024, layers: 1, heads: 16, kvHeads: 16, ffn: 2816, vocab: 512 }, [32, 128]],
];

const quickWidths: readonly (readonly [Width, readonly number[]])[] = [
  [{ hidden: 64, layers: 4, heads: 4, kvHeads: 2, ffn: 192, vocab: 256 }, [64]],
  [{ hidden: 128, layers: 4, heads: 4, kvHeads: 4, ffn: 512, vocab: 256 }, [32, 128]],
  [{ hidden: 256, layers: 2, heads: 8, kvHeads: 4, ffn: 704, vocab: 1024 }, [128]],
];

export function stepModels(quick: boolean): StepModel[] {
  return (quick ? quickWidths : widths).flatMap(([width, lengths]) => lengths.map((seq) => ({ ...width, seq })));
}

/** How ranks split a model; absent: one rank. */
export interface StepStrategy {
  readonly dp: number;
  readonly tp: number;
  readonly sharding: "none" | "zero1";
}

const oneRank: StepStrategy = { dp: 1, tp: 1, sharding: "none" };

const meetingWidths: readonly StepModel[] = [
  { hidden: 64, layers: 4, heads: 4, kvHeads: 4, ffn: 192, vocab: 256, seq: 32 },
  { hidden: 128, layers: 4, heads: 8, kvHeads: 8, ffn: 512, vocab: 256, seq: 128 },
  { hidden: 256, layers: 4, heads: 16, kvHeads: 16, ffn: 704, vocab: 1024, seq: 256 },
  { hidden: 512, layers: 2, heads: 16, kvHeads: 16, ffn: 1408, vocab: 2048, seq: 64 },
];

/** Runs in which ranks meet: sums of gradients whole and in shards, gathers of parameters, and sums and gathers of activations. */
export function meetingModels(
  ranks: number,
  quick: boolean,
): { readonly model: StepModel; readonly strategy: StepStrategy }[] {
  const models = quick ? meetingWidths.slice(0, 2) : meetingWidths;
  return models.flatMap((model) => {
    const splits = model.heads % ranks === 0 && model.ffn % ranks === 0 && model.seq % ranks === 0;
    const strategies: StepStrategy[] = [
      { dp: ranks, tp: 1, sharding: "zero1" },
      { dp: ranks, tp: 1, sharding: "none" },
      ...(splits ? [{ dp: 1, tp: ranks, sharding: "none" } as const] : []),
    ];
    return strategies.map((strategy) => ({ model, strategy }));
  });
}

/** Training on two micro-batches a step, each op one kernel and each tensor a message of its own, as the rank engine does it. */
export function stepSpec(model: StepModel, { dp, tp, sharding }: StepStrategy = oneRank): ResolvedSpec {
  const { hidden, layers, heads, kvHeads, ffn, vocab, seq } = model;
  return resolveSpec(
    {
      name: "calibration",
      model: { layers, hidden, heads, kv_heads: kvHeads, ffn, vocab },
      // Nothing is priced on it: it says where ranks are.
      cluster: {
        nodes: 1,
        gpus_per_node: dp * tp,
        device: { name: "core", peak: { fp32: "1GFLOP/s" }, memory: "64GiB", memory_bandwidth: "1GB/s" },
      },
      workload: { seq, global_batch: 2 * dp },
      strategy: { precision: "fp32", micro_batch: 1, dp, tp, sharding },
      software: {
        preset: "generic",
        fused_norm: true,
        collectives_per_tensor: true,
        overlap_grad_reduce: false,
        overlap_param_gather: false,
        reserved_bytes: 0,
      },
    },
    { load: () => undefined },
  );
}
