// One suite for all engines' formats: whatever an engine can run is written, and read back it is the same strategy on the same batch.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { namedModel, parameterCounts } from "../../model/index.ts";
import { ENGINES, type EngineName, engineRefusals } from "../../parallel/software/engineLimits.ts";
import { modelFromSource, type ResolvedSpec, resolveSpec } from "../../spec/index.ts";
import { InputError } from "../../units/errors.ts";
import { canonicalStrategy, detectEngine, exportSpec, importEngineText } from "./index.ts";

const sources = { load: () => undefined };
const models = ["llama-3.1-8b", "qwen2.5-7b", "mixtral-8x7b", "deepseek-v2-lite", "gpt3-1.3b", "nemotron-h-56b"];

/** A description, or undefined when it does not resolve (heads that tp does not divide, a batch that does not fit...). */
function resolved(description: unknown): ResolvedSpec | undefined {
  try {
    return resolveSpec(description, sources);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

const optional = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const size = (...sizes: readonly number[]) => fc.constantFrom(...sizes);

/** What an engine can run, for the most part: the rest is for engineRefusals to sort out. */
const dimensions: Readonly<Record<EngineName, Readonly<Record<string, fc.Arbitrary<unknown>>>>> = {
  megatron: megatronDimensions(),
  "megatron-bridge": megatronDimensions(),
  deepspeed: {
    tp: size(1, 1, 2),
    sequence_parallel: fc.constant(false),
    ulyssesCp: size(1, 1, 2, 4),
    pp: size(1, 1, 2, 4),
    sharding: fc.constantFrom("none", "zero1", "zero2", "zero3"),
    shard_group: optional(size(2, 4)),
    etp: fc.constant(1),
    ep: size(1, 2),
    recompute: optional(fc.constantFrom("full", { kind: "full", every_layers: 2 })),
    offload_optimizer: optional(fc.constant(true)),
    offload_activations: optional(fc.constant(true)),
    precision: fc.constantFrom("bf16", "fp16", "fp32"),
    optimizer: fc.constantFrom("adamw", "sgd", "muon"),
  },
  torchtitan: {
    tp: size(1, 2, 4),
    cp: size(1, 1, 2),
    pp: size(1, 2, 4),
    ep: size(1, 1, 2, 4),
    etp: optional(fc.constant(1)),
    schedule: fc.constantFrom("1f1b", "1f1b", "1f1b", "gpipe", "interleaved", "breadth-first", "zb-v", "dualpipe-v"),
    chunks: optional(size(2, 3, 4)),
    sharding: fc.constantFrom("zero3", "zero3", "none"),
    shard_group: optional(size(1, 2, 4, 8)),
    reshard_after_forward: optional(fc.boolean()),
    balance_embedding: optional(fc.constant(true)),
    recompute: optional(fc.constantFrom("full", "ops")),
    precision: fc.constantFrom("bf16", "fp32", "fp8"),
  },
  fsdp2: {
    sharding: fc.constantFrom("none", "zero2", "zero3"),
    shard_group: optional(size(1, 2, 8)),
    reshard_after_forward: optional(fc.boolean()),
    recompute: optional(fc.constantFrom("full", { kind: "full", every_layers: 4 })),
    offload_activations: optional(fc.constant(true)),
    precision: fc.constantFrom("bf16", "fp32"),
    optimizer: fc.constantFrom("adamw", "sgd"),
  },
};

function megatronDimensions(): Readonly<Record<string, fc.Arbitrary<unknown>>> {
  return {
    tp: size(1, 2, 4),
    cp: size(1, 1, 2, 4),
    ulysses: optional(size(2, 4)),
    pp: size(1, 2, 4, 8),
    ep: size(1, 1, 2, 4),
    etp: optional(size(1, 2)),
    order: optional(fc.constantFrom("tp-cp-dp-pp", "tp-cp-pp-dp")),
    sequence_parallel: optional(fc.boolean()),
    chunks: optional(size(2, 3)),
    sharding: fc.constantFrom("none", "zero1", "zero1", "zero2", "zero3"),
    shard_group: optional(size(1, 2, 4)),
    balance_embedding: optional(fc.constant(true)),
    recompute: optional(
      fc.constantFrom(
        "selective",
        "full",
        { kind: "selective", modules: ["attention", "norm"] },
        { kind: "selective", modules: ["mlaUp", "activation", "moe"] },
        { kind: "full", every_layers: 2 },
        { kind: "full", every_layers: 1, num_layers: 2 },
      ),
    ),
    offload_activations: optional(fc.constant(true)),
    offload_layers: optional(size(1, 4)),
    offload_optimizer: optional(fc.constant(true)),
    precision: fc.constantFrom("fp32", "bf16", "fp16", "fp8", "fp8_block", "mxfp8", "nvfp4"),
    optimizer: fc.constantFrom("adamw", "adamw", "sgd", "muon"),
    capacity_factor: optional(fc.constant(1.25)),
  };
}

const softwareOf: Readonly<Record<EngineName, readonly string[]>> = {
  megatron: ["megatron-core", "megatron-lm-2025", "nemo-2023"],
  "megatron-bridge": ["megatron-bridge", "megatron-core"],
  deepspeed: ["deepspeed-hf-2026"],
  torchtitan: ["torchtitan-2025", "torchtitan-eager"],
  fsdp2: ["pytorch-fsdp2"],
};

function jobs(engine: EngineName): fc.Arbitrary<unknown> {
  return fc
    .record({
      model: fc.constantFrom(...models),
      software: fc.constantFrom(...softwareOf[engine]),
      micro: size(1, 2),
      accumulate: size(1, 4, 8),
      strategy: fc.record(dimensions[engine]),
    })
    .map(({ model, software, micro, accumulate, strategy }) => {
      const { ulyssesCp, ...rest } = strategy as Record<string, unknown>;
      const fields = { ...rest, ...(ulyssesCp === undefined ? {} : { cp: ulyssesCp, ulysses: ulyssesCp }) };
      const written = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
      return {
        model,
        cluster: "4x8xb200-sxm",
        software,
        workload: { seq: 4096 },
        strategy: { ...written, micro_batch: micro, grad_accum: accumulate },
      };
    });
}

function runnable(engine: EngineName, spec: ResolvedSpec): boolean {
  return engineRefusals(engine, spec.model, spec.strategy, spec.software, spec.workload).length === 0;
}

describe.each(ENGINES)("%s", (engine) => {
  const samples = fc.sample(jobs(engine), { numRuns: 800, seed: 20 });
  const specs = samples
    .map(resolved)
    .filter((spec) => spec !== undefined)
    .filter((spec) => runnable(engine, spec));

  it("covers every choice of its dimensions with jobs that it runs", () => {
    expect(specs.length).toBeGreaterThan(40);
    const seen = (pick: (spec: ResolvedSpec) => unknown) => new Set(specs.map((spec) => JSON.stringify(pick(spec))));
    const { sharding, precision, optimizer } = dimensions[engine];
    for (const [arbitrary, pick] of [
      [sharding, ({ strategy }: ResolvedSpec) => strategy.sharding],
      [precision, ({ strategy }: ResolvedSpec) => strategy.precision],
      [optimizer, ({ strategy }: ResolvedSpec) => strategy.optimizer],
    ] as const) {
      if (arbitrary === undefined) continue;
      const wanted = new Set(fc.sample(arbitrary, 50).map((value) => JSON.stringify(value)));
      for (const value of wanted) expect(seen(pick)).toContain(value);
    }
    expect(seen(({ strategy }) => strategy.recompute.kind).size).toBeGreaterThan(1);
    if (dimensions[engine]["schedule"] !== undefined) expect(seen(({ strategy }) => strategy.schedule).size).toBe(6);
  });

  it("writes what it runs and reads back the same strategy, sequence and batch", () => {
    for (const spec of specs) {
      const written = exportSpec(engine, spec);
      for (const { path, text } of written.files) {
        expect(detectEngine(path, text), path).toBe(engine);
        const read = importEngineText(engine, text, {
          model: spec.model,
          cluster: spec.cluster,
          seqLen: spec.workload.seqLen,
        });
        expect(
          read.findings.filter(({ severity }) => severity === "error"),
          text,
        ).toEqual([]);
        const back = resolveSpec(
          {
            model: spec.model.name,
            cluster: "4x8xb200-sxm",
            workload: read.workload,
            strategy: read.strategy,
            software: read.software,
          },
          sources,
        );
        expect(canonicalStrategy(back), text).toEqual(canonicalStrategy(spec));
        expect(back.workload, text).toEqual(spec.workload);
      }
    }
  });

  it("names its version and the job in every file, and runs one program", () => {
    const written = exportSpec(engine, specs[0]!);
    for (const { text } of written.files) {
      expect(text).toMatch(/\d{4}-\d\d-\d\d|v\d+\.\d+|PyTorch \d/);
      expect(text).toContain(specs[0]!.model.name);
    }
    expect(written.program.length).toBeGreaterThan(0);
    expect(written.program.some((word) => /\.py$|^torchtitan\.train$/.test(word))).toBe(true);
    for (const note of written.notes) expect(note).toMatch(/^[A-Z_a-z].*[^.]$/s);
  });

  it("keeps a model's name from breaking out of a comment or a string", () => {
    const spec = { ...specs[0]!, name: 'evil"\n$(rm)\u2028', model: { ...specs[0]!.model, name: "x\"\n'; import os" } };
    for (const { text, path } of exportSpec(engine, spec).files) {
      const read = importEngineText(engine, text, { model: spec.model, cluster: spec.cluster, seqLen: 4096 });
      expect(read.strategy["tp"], path).toBe(spec.strategy.tp);
      expect(text).not.toMatch(/^\$\(rm\)/m);
    }
  });

  it("refuses in words what it cannot run", () => {
    const spec = { ...specs[0]!, strategy: { ...specs[0]!.strategy, vocabOverStages: true } };
    expect(() => exportSpec(engine, spec)).toThrow(/vocab_over_stages/);
  });
});

describe("a model's flags", () => {
  const describable = [
    ...models,
    "llama-3.1-70b",
    "deepseek-v3",
    "gpt3-175b",
    "qwen3-8b",
    "qwen3-30b-a3b",
    "gpt-oss-20b",
    "gpt2-xl",
    "mistral-7b",
  ];
  it.each(describable)("of Megatron-LM describe %s with all its parameters", (name) => {
    const model = namedModel(name);
    const spec = resolveSpec(
      { model: name, cluster: "8xb200-sxm", workload: { seq: 1024, global_batch: 8 }, software: "megatron-lm-2025" },
      sources,
    );
    expect(engineRefusals("megatron", spec.model, spec.strategy, spec.software, spec.workload)).toEqual([]);
    const read = importEngineText("megatron", exportSpec("megatron", spec).files[0]!.text, {
      cluster: spec.cluster,
      model,
    });
    expect(read.findings.filter(({ severity }) => severity === "error")).toEqual([]);
    const back = modelFromSource(read.model, { sources });
    const share = parameterCounts(back).total / parameterCounts(model).total;
    // Sinks, router corrections and the like have no flag.
    expect(Math.abs(share - 1)).toBeLessThan(1e-3);
  });
});
