// The lessons: one parallel dimension or technique each, what it does in a few sentences, the papers, and variants of one small job that show it. Nothing
// of a picture or a figure is written here: every variant is lowered, priced and simulated by the library (tasks.ts).

import type { RunFile, Section } from "../state/runFile.ts";

export interface Paper {
  readonly title: string;
  readonly arxiv: string;
}

export interface Variant {
  /** On the chooser: `2 devices`, `ZeRO-3`. */
  readonly label: string;
  readonly strategy: Section;
  readonly numDevices: number;
}

export interface LayerLesson {
  readonly kind: "layer";
  readonly id: string;
  readonly title: string;
  readonly text: readonly string[];
  readonly papers: readonly Paper[];
  readonly model: Section;
  readonly seqLen: number;
  /** What the variants differ in. */
  readonly dial: string;
  readonly variants: readonly Variant[];
  /** Of `variants`: shown first. */
  readonly first: number;
}

export interface PipelineLesson {
  readonly kind: "pipeline";
  readonly id: "pipeline";
  readonly title: string;
  readonly text: readonly string[];
}

export type Lesson = LayerLesson | PipelineLesson;

/** Of the width of an 8B model, in few layers. */
const dense: Section = { layers: 8, hidden: 4096, heads: 32, kv_heads: 8, ffn: 14336, vocab: 32000 };
const routed: Section = {
  layers: 8,
  hidden: 2048,
  heads: 16,
  kv_heads: 4,
  experts: 32,
  topk: 4,
  moe_ffn: 1536,
  vocab: 32000,
};

/** The job of a variant as a run file: what the command line and the other pages read. */
export function lessonRun(lesson: LayerLesson, variant: Variant): RunFile {
  return {
    model: lesson.model,
    cluster: `${variant.numDevices}xh100-sxm`,
    workload: { seq: lesson.seqLen, global_batch: 16 },
    software: "megatron-core",
    strategy: { sharding: "none", ...variant.strategy },
  };
}

/** As many devices as the axis has. */
const sizes = (axis: string, list: readonly number[], more: Section = {}): readonly Variant[] =>
  list.map((size) => ({ label: String(size), strategy: { ...more, [axis]: size }, numDevices: size }));

const onEight = (label: string, strategy: Section): Variant => ({ label, strategy, numDevices: 8 });

const zero: Paper = {
  title: "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
  arxiv: "1910.02054",
};
const megatron: Paper = {
  title: "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism",
  arxiv: "1909.08053",
};
const recomputation: Paper = {
  title: "Reducing Activation Recomputation in Large Transformer Models",
  arxiv: "2205.05198",
};

export const lessons: readonly Lesson[] = [
  {
    kind: "layer",
    id: "data",
    title: "Data parallel",
    text: [
      "Every device holds the whole model and works on its own sequences. Forward and backward need nobody else.",
      "Once a step the copies must agree: the gradients are all-reduced over the data parallel group. It moves about twice the gradient's bytes through every device, however many devices there are, and runs beside backward as soon as the first layers are done.",
      "Memory does not shrink: each copy keeps parameters, gradients and optimizer states.",
    ],
    papers: [{ title: "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", arxiv: "2006.15704" }],
    model: dense,
    seqLen: 4096,
    dial: "Copies",
    variants: sizes("dp", [1, 2, 4, 8]),
    first: 3,
  },
  {
    kind: "layer",
    id: "zero",
    title: "ZeRO and FSDP",
    text: [
      "Copies of data parallelism keep the same states eight times. ZeRO cuts them up: stage 1 the optimizer states, stage 2 the gradients too, stage 3 (FSDP's full shard) the parameters as well.",
      "Stages 1 and 2 move no more bytes than an all-reduce does: a reduce-scatter before the update and an all-gather after it. Stage 3 gathers a layer's parameters before it runs, forward and backward, and frees them after: half as much traffic again, for memory that shrinks with the group.",
    ],
    papers: [zero, { title: "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", arxiv: "2304.11277" }],
    model: dense,
    seqLen: 4096,
    dial: "Sharded",
    variants: [
      onEight("nothing", { sharding: "none" }),
      onEight("ZeRO-1", { sharding: "zero1" }),
      onEight("ZeRO-2", { sharding: "zero2" }),
      onEight("ZeRO-3", { sharding: "zero3" }),
    ],
    first: 3,
  },
  {
    kind: "layer",
    id: "tensor",
    title: "Tensor parallel",
    text: [
      "Every matrix of a layer is cut: the first of each pair by columns, the second by rows, so that attention heads and the feed-forward width are divided and nothing has to be exchanged between the two.",
      "What comes out of the second matrix is a partial sum. An all-reduce puts it together, once after attention and once after the feed-forward part, and again for the gradients in backward. Move the dial from 1 to 2 and see them appear.",
      "The exchange stands between two multiplications, so it is hard to hide: tensor parallel groups stay inside a node, on its fastest links.",
    ],
    papers: [megatron],
    model: dense,
    seqLen: 4096,
    dial: "Devices",
    variants: sizes("tp", [1, 2, 4, 8], { sequence_parallel: false }),
    first: 1,
  },
  {
    kind: "layer",
    id: "sequence",
    title: "Sequence parallel",
    text: [
      "Tensor parallelism leaves norms and residuals whole on every device of the group: the same work and the same stash, many times. Sequence parallelism gives each device a part of the tokens there.",
      "An all-reduce is a reduce-scatter followed by an all-gather. Taking the two apart, the parts between them run on fewer tokens, and forward sends no more bytes. What is kept for backward is divided by the group; backward gathers it once more for the weight gradients.",
    ],
    papers: [recomputation],
    model: dense,
    seqLen: 4096,
    dial: "Between the matrices",
    variants: [
      { label: "whole (tp 4)", strategy: { tp: 4, sequence_parallel: false }, numDevices: 4 },
      { label: "split by tokens (tp 4)", strategy: { tp: 4, sequence_parallel: true }, numDevices: 4 },
    ],
    first: 1,
  },
  {
    kind: "layer",
    id: "ring",
    title: "Context parallel: ring",
    text: [
      "A long sequence is cut into pieces, one on each device. Everything but attention works on its own tokens alone. In attention each query needs the keys and values of all earlier tokens: they travel round a ring, and every device works on the block that it has while the next one arrives.",
      "With causal attention a contiguous cut gives the last device most of the work. The zigzag cut gives every device one early and one late piece, which is even.",
    ],
    papers: [
      { title: "Ring Attention with Blockwise Transformers for Near-Infinite Context", arxiv: "2310.01889" },
      { title: "Sequence Parallelism: Long Sequence Training from System Perspective", arxiv: "2105.13120" },
    ],
    model: dense,
    seqLen: 32768,
    dial: "Devices",
    variants: [
      ...sizes("cp", [1, 2, 4]),
      { label: "4, contiguous", strategy: { cp: 4, cp_layout: "contiguous" }, numDevices: 4 },
      ...sizes("cp", [8]),
    ],
    first: 1,
  },
  {
    kind: "layer",
    id: "ulysses",
    title: "Context parallel: Ulysses",
    text: [
      "Sequences are cut as in the ring, but before attention the devices exchange: an all-to-all turns a piece of the sequence with all heads into the whole sequence with a part of the heads. After attention another one turns it back.",
      "The bytes of a device fall as the group grows, where the ring's stay. The heads limit it: with grouped queries the key and value heads must be enough for the group.",
    ],
    papers: [
      {
        title:
          "DeepSpeed Ulysses: System Optimizations for Enabling Training of Extreme Long Sequence Transformer Models",
        arxiv: "2309.14509",
      },
      { title: "A Unified Sequence Parallelism Approach for Long Context Generative AI", arxiv: "2405.07719" },
    ],
    model: dense,
    seqLen: 32768,
    dial: "Devices",
    variants: [
      ...[1, 2, 4, 8].map(
        (size): Variant => ({ label: String(size), strategy: { cp: size, ulysses: size }, numDevices: size }),
      ),
      onEight("8 as 4 x ring of 2", { cp: 8, ulysses: 4 }),
    ],
    first: 1,
  },
  {
    kind: "layer",
    id: "expert",
    title: "Expert parallel",
    text: [
      "A router sends every token to a few of many experts. The experts are dealt to the devices, so tokens travel: an exchange to the devices of their experts, the experts' multiplications, and an exchange back.",
      "The bytes depend on how many experts a token uses, not on how many there are. How even the load is decides how long the slowest device takes; here the router is balanced.",
    ],
    papers: [
      {
        title: "GShard: Scaling Giant Models with Conditional Computation and Automatic Sharding",
        arxiv: "2006.16668",
      },
    ],
    model: routed,
    seqLen: 4096,
    dial: "Devices",
    variants: sizes("ep", [1, 2, 4, 8]),
    first: 1,
  },
  {
    kind: "pipeline",
    id: "pipeline",
    title: "Pipeline schedules",
    text: [
      "Layers are dealt to stages on different devices, and a batch is cut into micro-batches that pass through them. Only hidden states cross a stage's border: little traffic, which even slow links carry.",
      "While the pipeline fills and drains, devices are idle: the bubble. A schedule decides in which order a device runs its forwards and backwards; more chunks for each device, splitting backward in two, or running two directions at once make the bubble smaller, for more messages, memory or copies.",
    ],
  },
  {
    kind: "layer",
    id: "recompute",
    title: "Recomputation",
    text: [
      "Backward needs what forward computed. Kept, it fills the memory; thrown away, it must be computed again.",
      "Full recomputation keeps only the input of each layer and runs its forward again: about a third more work. Selective recomputation throws away what is large and cheap to compute, such as the inside of attention where no fused kernel does that already.",
    ],
    papers: [{ title: "Training Deep Nets with Sublinear Memory Cost", arxiv: "1604.06174" }, recomputation],
    model: dense,
    seqLen: 8192,
    dial: "Computed again",
    variants: [
      onEight("nothing", { sharding: "zero1", recompute: "none" }),
      onEight("norms and activations", {
        sharding: "zero1",
        recompute: { kind: "selective", modules: ["norm", "activation"] },
      }),
      onEight("whole layers", { sharding: "zero1", recompute: "full" }),
    ],
    first: 2,
  },
  {
    kind: "layer",
    id: "offload",
    title: "Offload",
    text: [
      "The host has more memory than the device. Optimizer states live there, and the host updates its shard: gradients go down the host link, parameters come back. Activations can wait there too, between forward and backward.",
      "The host link is slow beside the device's memory: what is offloaded should be used seldom, or be copied while something else runs.",
    ],
    papers: [
      { title: "ZeRO-Offload: Democratizing Billion-Scale Model Training", arxiv: "2101.06840" },
      { title: "ZeRO-Infinity: Breaking the GPU Memory Wall for Extreme Scale Deep Learning", arxiv: "2104.07857" },
    ],
    model: dense,
    seqLen: 8192,
    dial: "On the host",
    variants: [
      onEight("nothing", { sharding: "zero1" }),
      onEight("optimizer", { sharding: "zero1", offload_optimizer: true }),
      onEight("activations", { sharding: "zero1", offload_activations: true }),
    ],
    first: 1,
  },
];
