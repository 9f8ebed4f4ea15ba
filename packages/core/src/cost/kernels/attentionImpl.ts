// What one attention implementation does to the matrix rate, relative to the one that a device's table measured.

import type { AttentionImpl } from "../types.ts";
import type { ArchFamily } from "./roofline.ts";

type KnownImpl = Exclude<AttentionImpl, "auto">;

interface Share {
  readonly forward: number;
  readonly backward: number;
}

/** The implementation the tables of each family measured, which is also what a current framework picks. */
function usualImpl(family: ArchFamily): KnownImpl {
  if (family === "hopper") return "flash3";
  if (family === "blackwell") return "cudnn";
  return "flash2";
}

/**
 * Share of the tensor-core peak on long causal sequences at head_dim 128.
 *
 * Sources: FlashAttention, arXiv 2205.14135 (25-40 % of A100); FlashAttention-2, arXiv 2307.08691, section 4.1 (A100: up to 73 % forward and
 * 63 % backward; the same code on H100: about 335 of 989 TFLOP/s forward and backward); FlashAttention-3, arXiv 2407.08608, section 4.1
 * (H100: up to 75 % forward, backward 1.5-1.75 x FlashAttention-2). Blackwell and A100 backward shares: slopes over heads of attention_train.
 * FlashAttention-1 on Hopper: its A100 rate times what FlashAttention-2 gains from A100 to H100 (1.5 forward, 1.7 backward), as both use the same instructions.
 * FlashAttention-4 (T. Dao and others, 2026): up to 1,605 TFLOP/s forward on B200, as remembered; backward assumed to gain as much over cuDNN.
 */
function peakShare(family: ArchFamily, impl: KnownImpl): Share {
  switch (family) {
    case "hopper":
      if (impl === "flash1") return { forward: 0.175, backward: 0.155 };
      if (impl === "flash2") return { forward: 0.37, backward: 0.33 };
      return { forward: 0.64, backward: 0.52 };
    case "blackwell":
      if (impl === "flash1") return { forward: 0.12, backward: 0.1 };
      if (impl === "flash2") return { forward: 0.18, backward: 0.16 };
      if (impl === "flash3") return { forward: 0.36, backward: 0.29 };
      if (impl === "flash4") return { forward: 0.71, backward: 0.56 };
      return { forward: 0.62, backward: 0.49 };
    case "cdna":
      // Assumed two thirds of the NVIDIA share: no AMD attention was measured here.
      return { forward: 0.42, backward: 0.31 };
    default:
      if (impl === "flash1") return { forward: 0.36, backward: 0.29 };
      return { forward: 0.62, backward: 0.53 };
  }
}

/** Forward matrix rate of `impl` over that of the table's implementation. */
export function forwardSpeed(family: ArchFamily, impl: AttentionImpl): number {
  // No AMD attention table exists: a sibling's rate is scaled by the ratio of shares.
  if (family === "cdna") return peakShare(family, "flash2").forward / peakShare("other", "flash2").forward;
  if (impl === "auto") return 1;
  return peakShare(family, impl).forward / peakShare(family, usualImpl(family)).forward;
}

/** Products of the backward pass over those of the forward pass: S, dP, dV, dQ, dK against S and O (arXiv 2307.08691, section 3.1). */
const BACKWARD_WORK = 2.5;

/**
 * Backward over forward time of the same implementation on long sequences.
 * Query-key heads wider than the value heads (192 / 128) cost the backward pass registers: attention_train shows 3.35 against 2.95 on A100
 * and 3.9 against 3.2 on B200.
 */
export function backwardRatio(family: ArchFamily, impl: AttentionImpl, headDim: number): number {
  const share = peakShare(family, impl === "auto" ? usualImpl(family) : impl);
  const wide = headDim > 128 ? 1.15 : 1;
  return (BACKWARD_WORK * wide * share.forward) / share.backward;
}
