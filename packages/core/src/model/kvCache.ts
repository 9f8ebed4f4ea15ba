// What generation keeps per token: keys and values of attention layers, the latent of MLA, nothing for state spaces
// (their state has a fixed size, counted apart).

import { type DType, dtypeBytes } from "../units/dtype.ts";
import { unreachable } from "../units/errors.ts";
import type { MixerSpec, ModelSpec } from "./types.ts";

/** Bytes of KV cache that one more token adds over all layers, windowed layers included. */
export function kvBytesPerToken(model: ModelSpec, dtype: DType): number {
  return sumLayers(model, (mixer) => mixerKv(mixer).elements) * dtypeBytes(dtype);
}

/**
 * Bytes that one sequence of `seqLen` tokens occupies: windowed layers keep at most their window, state-space layers a
 * state of fixed size (fp32) and the last tokens of their convolution.
 */
export function kvCacheBytes(model: ModelSpec, p: { readonly seqLen: number; readonly dtype: DType }): number {
  const bytes = dtypeBytes(p.dtype);
  return sumLayers(model, (mixer) => {
    const { elements, window } = mixerKv(mixer);
    const tokens = window > 0 ? Math.min(window, p.seqLen) : p.seqLen;
    return elements * tokens * bytes + stateBytes(mixer);
  });
}

function mixerKv(mixer: MixerSpec): { elements: number; window: number } {
  switch (mixer.kind) {
    case "attention": {
      // A cross attention's keys and values belong to the encoder's tokens, as many as the decoder's here.
      const elements = mixer.kvShared === true ? 0 : mixer.kvHeads * (mixer.headDim + mixer.vHeadDim);
      return { elements: elements * (mixer.crossAttention ? 2 : 1), window: mixer.window };
    }
    case "mla": {
      const latent = mixer.kvLoraRank + mixer.qkRopeHeadDim;
      const perEntry = mixer.sharedKv?.tokensPerEntry;
      return { elements: perEntry === undefined ? latent : perEntry === 0 ? 0 : latent / perEntry, window: 0 };
    }
    case "ssm":
    case "none":
      return { elements: 0, window: 0 };
    default:
      return unreachable(mixer);
  }
}

function stateBytes(mixer: MixerSpec): number {
  return mixer.kind === "ssm" ? 4 * (mixer.innerDim * mixer.stateDim + mixer.convDim * (mixer.convKernel - 1)) : 0;
}

function sumLayers(model: ModelSpec, of: (mixer: MixerSpec) => number): number {
  const perKind = model.layerKinds.map((layer) => of(layer.mixer));
  let total = 0;
  for (const kind of model.layers) total += perKind[kind] ?? 0;
  return total;
}
