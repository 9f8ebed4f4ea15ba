// What a network computes: architecture facts, free of any parallel strategy.
// A model is a list of layers; each layer is one mixer (attention, MLA, state space...) and one feed-forward part
// (dense, mixture of experts or none). Layers that are equal share one LayerSpec in `layerKinds`.

export type NormKind = "rmsnorm" | "layernorm" | "none";

/** gelu, relu... ; gated variants multiply by a second projection (SwiGLU, GeGLU). */
export type ActivationKind = "gelu" | "silu" | "relu" | "relu2" | "quick_gelu" | "tanh";

export interface AttentionSpec {
  readonly kind: "attention";
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width of one value head; equals headDim nearly always. */
  readonly vHeadDim: number;
  readonly qkvBias: boolean;
  readonly outBias: boolean;
  /** Normalisation of q and k per head (Qwen3) or over the whole projection (OLMo-2). */
  readonly qkNorm: "none" | "perHead" | "full";
  /** Sliding window in tokens; 0 means full attention. */
  readonly window: number;
  readonly causal: boolean;
  readonly rope: boolean;
  /** Share of headDim that rope turns (1 = all). */
  readonly ropeFrac: number;
  /** A second attention over encoder states (encoder-decoder models): same dims, no causality. */
  readonly crossAttention: boolean;
  /** Extra trainable scalars or vectors: attention sinks, output gates, relative-position tables... already counted. */
  readonly extraParams: number;
  /** q projection also yields an output gate of the same width (Qwen3-Next). */
  readonly outputGate?: boolean;
  /** Values are the keys before their norm: no value projection (full-attention layers of Gemma 4). */
  readonly valueIsKey?: boolean;
  /** Keys and values are those of an earlier layer: no key and value projections, no KV cache of its own (Gemma 3n and 4). */
  readonly kvShared?: boolean;
}

/** Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434). */
export interface MlaSpec {
  readonly kind: "mla";
  readonly heads: number;
  /** null: one full q projection. */
  readonly qLoraRank: number | null;
  readonly kvLoraRank: number;
  readonly qkNopeHeadDim: number;
  readonly qkRopeHeadDim: number;
  readonly vHeadDim: number;
  /** Lightning indexer and the like, already counted. */
  readonly extraParams: number;
  /** Sparse attention reads at most this many keys per query (DeepSeek-V3.2); 0 = dense. */
  readonly sparseTopk: number;
  /**
   * Keys and values are the shared latent itself, without an up-projection (DeepSeek-V4): one KV head of
   * kvLoraRank + qkRopeHeadDim numbers, and the output projection is `groups` blocks of rank `rank` before a joint one.
   * Beyond the window the cache holds one entry per `tokensPerEntry` tokens; 0 = the window only.
   */
  readonly sharedKv?: { readonly groups: number; readonly rank: number; readonly tokensPerEntry: number };
}

/** Mamba-1/2 state space mixer; also used for gated delta nets with their own projection sizes. */
export interface SsmSpec {
  readonly kind: "ssm";
  readonly variant: "mamba1" | "mamba2" | "gatedDelta";
  /** Width after the input projection (expand x hidden). */
  readonly innerDim: number;
  readonly stateDim: number;
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly convKernel: number;
  /** Columns of the input projection(s) together, and rows of the output projection. */
  readonly inProjDim: number;
  readonly outProjDim: number;
  /** Channels of the short convolution. */
  readonly convDim: number;
  /** All parameters of the mixer (projections, conv, A, D, dt, norms). */
  readonly params: number;
}

export type MixerSpec = AttentionSpec | MlaSpec | SsmSpec | { readonly kind: "none" };

export interface DenseFfnSpec {
  readonly kind: "dense";
  readonly inner: number;
  readonly gated: boolean;
  readonly bias: boolean;
  readonly activation: ActivationKind;
}

export interface MoeFfnSpec {
  readonly kind: "moe";
  readonly experts: number;
  readonly topk: number;
  /** Width of one routed expert. */
  readonly inner: number;
  readonly gated: boolean;
  readonly bias: boolean;
  readonly activation: ActivationKind;
  /** Total width of the shared experts (0 = none). */
  readonly sharedInner: number;
  /** The shared expert has a sigmoid gate (Qwen2-MoE). */
  readonly sharedGate: boolean;
  readonly routerBias: boolean;
  /** Routed experts work in this width instead of the hidden size (latent MoE); 0 = hidden. */
  readonly latentDim?: number;
  /** Other trainable numbers of the layer's router (score corrections, hash tables...), already counted. */
  readonly extraParams: number;
}

export type FfnSpec = DenseFfnSpec | MoeFfnSpec | { readonly kind: "none" };

export interface LayerSpec {
  readonly mixer: MixerSpec;
  readonly ffn: FfnSpec;
  readonly norm: NormKind;
  readonly normBias: boolean;
  /** Norms on the residual path around mixer and ffn: 1 = pre only (2 per layer), 2 = pre and post (Gemma-2). Parallel residual with one shared norm: 0.5. */
  readonly normsPerBranch: number;
  /** False: the norms of this layer have no trainable weights (OLMo-1, DiT blocks). Absent means true. */
  readonly normAffine?: boolean;
  /** Attention and ffn read the same input and are summed (GPT-J, Falcon, Cohere). */
  readonly parallelResidual: boolean;
  /** Trainable numbers of the layer not covered by mixer, ffn and norms (layer scalars...). */
  readonly extraParams: number;
}

export interface ModelSpec {
  readonly name: string;
  /** Hugging Face model_type, or "inline". */
  readonly family: string;
  readonly hidden: number;
  readonly vocab: number;
  readonly tiedEmbeddings: boolean;
  readonly lmHeadBias: boolean;
  /** Width of the token embedding (and of a tied head) when it differs from `hidden` (OPT-350m, ALBERT, ELECTRA). */
  readonly embeddingDim?: number;
  /** Learned position table: rows x hidden parameters; 0 when rope, alibi or none. */
  readonly learnedPositions: number;
  readonly position: "rope" | "learned" | "alibi" | "relative" | "none";
  readonly embeddingNorm: boolean;
  readonly finalNorm: NormKind;
  readonly finalNormBias: boolean;
  readonly maxSeqLen: number;
  /** Distinct layers; `layers[i]` is the index into it of layer i (decoder order). */
  readonly layerKinds: readonly LayerSpec[];
  readonly layers: readonly number[];
  /** Encoder of an encoder-decoder model, same LayerSpec vocabulary. */
  readonly encoder?: {
    readonly layerKinds: readonly LayerSpec[];
    readonly layers: readonly number[];
    readonly finalNorm: NormKind;
    readonly finalNormBias: boolean;
  };
  /** Multi-token-prediction modules that train with the model (0 = not used). */
  readonly mtpLayers: number;
  /** Not a causal language model: no LM head (BERT pooler, ViT classifier count in extraParams). */
  readonly hasLmHead: boolean;
  /** Parameters outside the language model: vision tower, projector, pooler, patch embedding... */
  readonly extraParams: number;
  /** What `extraParams` holds, in words. */
  readonly extraNote?: string;
  /** Where each fact came from, for the report ("config.json", "class default"...). */
  readonly notes: readonly string[];
}

export interface ParameterCounts {
  readonly total: number;
  /** total minus routed experts a token does not use. */
  readonly active: number;
  /** rows x columns of the token embedding. */
  readonly embedding: number;
  /** Parameters of the multi-token-prediction modules, which `total` and `active` leave out as publishers do. */
  readonly mtp?: number;
}
