import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../units/errors.ts";
import { resolveSpec } from "./resolveSpec.ts";
import type { ResolvedSpec } from "./types.ts";

const noFiles = { load: () => undefined };

const llama = { name: "llama", layers: 80, hidden: 8192, heads: 64, kv_heads: 8, ffn: 28672, vocab: 128256 };
const moe = {
  name: "moe",
  layers: 32,
  hidden: 4096,
  heads: 32,
  kv_heads: 8,
  ffn: 14336,
  vocab: 32000,
  experts: 8,
  topk: 2,
  moe_ffn: 14336,
};

function job(strategy: object, rest: object = {}): Record<string, unknown> {
  return { model: llama, cluster: "64xh100-sxm", workload: { seq: 8192, global_batch: 512 }, strategy, ...rest };
}

function resolve(description: unknown): ResolvedSpec {
  return resolveSpec(description, noFiles);
}

function findings(description: unknown): string[] {
  try {
    resolve(description);
  } catch (error) {
    if (error instanceof InputError)
      return error.findings.map((f) => `${f.path}: ${f.message}${f.hint === undefined ? "" : ` (${f.hint})`}`);
    throw error;
  }
  return [];
}

describe("resolveSpec()", () => {
  it("fills in what follows from the cluster and the batch", () => {
    const { strategy, workload, name } = resolve(job({ tp: 8, pp: 4 }));
    expect(strategy).toMatchObject({
      tp: 8,
      pp: 4,
      dp: 2,
      cp: 1,
      etp: 8,
      schedule: "1f1b",
      numChunks: 1,
      sequenceParallel: true,
      sharding: "zero1",
      shardGroup: 2,
      reshardAfterForward: false,
    });
    expect(workload).toEqual({ seqLen: 8192, globalBatch: 512 });
    expect(name).toBe("llama");
  });

  it("takes the global batch in tokens, or from gradient accumulation", () => {
    expect(
      resolve(job({ tp: 8 }, { workload: { seq: 8192, global_batch_tokens: 4194304 } })).workload.globalBatch,
    ).toBe(512);
    expect(
      resolve(job({ tp: 8, micro_batch: 2, grad_accum: 5 }, { workload: { seq: 8192 } })).workload.globalBatch,
    ).toBe(2 * 5 * 8);
  });

  it("gives interleaving its schedule, and a schedule its chunks", () => {
    expect(resolve(job({ tp: 8, pp: 4, chunks: 5 })).strategy.schedule).toBe("interleaved");
    expect(resolve(job({ tp: 8, pp: 4, schedule: "interleaved" })).strategy.numChunks).toBe(2);
  });

  it("takes the transforms that have fields of their own", () => {
    const { strategy, software } = resolve(
      job(
        { tp: 8, pp: 2, chunks: 3, vocab_over_stages: true, offload_activations: true, offload_layers: 4 },
        {
          software: { preset: "generic", fused_projections: false, fp8_scaling: "delayed", flat_grad_copies: ["fp32"] },
        },
      ),
    );
    expect(strategy).toMatchObject({ vocabOverStages: true, offloadLayers: 4 });
    expect(software).toMatchObject({ fusedProjections: false, fp8Scaling: "delayed", flatGradCopies: ["fp32"] });
    expect(findings(job({ tp: 8 }, { software: { flat_grad_copies: ["int3"] } }))).toEqual([
      'software.flat_grad_copies: Expected a list of fp32, bf16, fp16, fp8, got ["int3"]',
    ]);
    expect(findings(job({ tp: 8, offload_layers: 4 }))[0]).toContain("needs offload_activations");
    expect(findings(job({ tp: 8, capacity_factor: 1.5 }))[0]).toContain("no experts");
  });

  it("makes counts and power laws shares", () => {
    const sharesOf = (routing: unknown) => resolve(job({ ep: 8, etp: 1, routing }, { model: moe })).strategy.routing;
    expect(sharesOf({ given: [1, 1, 1, 1, 1, 1, 1, 3] })).toEqual({
      kind: "given",
      shares: [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3],
    });
    expect(sharesOf({ power_law: 0 })).toEqual({ kind: "given", shares: Array(8).fill(1 / 8) });
    expect(sharesOf("topk")).toEqual({ kind: "topk" });
    for (const routing of [{ given: [1, -1] }, { power_law: "x" }, "topkk", { given: [1], power_law: 1 }])
      expect(findings(job({ ep: 8, routing }, { model: moe }))[0]).toMatch(/^strategy.routing: Expected balanced/);
    expect(findings(job({ ep: 8, routing: { given: [1, 2] } }, { model: moe })).join()).toContain("2 shares are given");
  });

  it("copies key-value heads where tp is a multiple of them", () => {
    expect(findings(job({ tp: 16 }))).toEqual([]);
    expect(findings(job({ tp: 16, cp: 2, ulysses: 2 }))).toEqual([
      "strategy.ulysses: Cannot exchange 1 key-value heads per tp rank over ulysses=2 (use ulysses=1)",
    ]);
  });

  it("names a size that does not fit the cluster, with sizes that do", () => {
    expect(findings(job({ tp: 8, pp: 3 }))).toEqual([
      'strategy: Cannot place tp=8, pp=3 on cluster "64xh100-sxm": 24 does not divide 64 devices (use pp=2 or pp=4)',
    ]);
    expect(findings(job({ tp: 8, pp: 4, dp: 4 }))).toEqual([
      'strategy.dp: tp x cp x pp x dp = 8 x 1 x 4 x 4 = 128 ranks, but cluster "64xh100-sxm" has 64 devices (use dp=2, or leave dp out)',
    ]);
  });

  it.each([
    [
      "heads",
      job({ tp: 3, dp: 1 }, { cluster: "3xh100" }),
      "Cannot split 64 attention heads over tp=3 (use tp=2 or tp=4)",
    ],
    [
      "kv heads",
      job({ tp: 6, dp: 1 }, { model: { ...llama, heads: 48, kv_heads: 8, head_dim: 128 }, cluster: "6xh100" }),
      "Cannot place 8 key-value heads on tp=6: one must divide the other (use tp=4 or tp=8)",
    ],
    ["experts", job({ ep: 16, etp: 1 }, { model: moe }), "Cannot deal 8 experts to ep=16 ranks (use ep=8)"],
    [
      "expert ranks",
      job({ tp: 4, ep: 8, etp: 4 }, { model: moe, cluster: "8xh100" }),
      "ep x etp = 8 x 4 = 32 does not divide the 8 ranks of a stage (tp x cp x dp) (use etp=1)",
    ],
    ["ep without experts", job({ ep: 8 }), 'ep=8, but "llama" has no experts (remove ep)'],
    [
      "sequence",
      job({ cp: 8 }, { workload: { seq: 8184, global_batch: 64 } }),
      "Cannot split sequences of 8184 tokens into 2 x cp = 16 pieces (zigzag) (use seq=8176 or seq=8192)",
    ],
    [
      "batch",
      job({ tp: 8, micro_batch: 3 }, { workload: { seq: 8192, global_batch: 100 } }),
      "Cannot split a global batch of 100 over micro_batch=3 x dp=8: 24 does not divide 100 (use global_batch=96 or global_batch=120)",
    ],
    [
      "stages",
      job({ pp: 32, chunks: 8 }, { workload: { seq: 8192, global_batch: 64 } }),
      "Cannot cut 80 layers into pp x chunks = 32 x 8 = 256 stages (use chunks=2)",
    ],
    ["listed stages", job({ pp: 4, stage_layers: [20, 20, 20, 19] }), 'The stages hold 79 layers, but "llama" has 80'],
    [
      "accumulation",
      job({ tp: 8, grad_accum: 4 }),
      "grad_accum=4 x micro_batch=1 x dp=8 = 32 sequences, but global_batch is 512 (remove grad_accum or global_batch)",
    ],
    [
      "tokens",
      job({ tp: 8 }, { workload: { seq: 8192, global_batch: 4, global_batch_tokens: 81920 } }),
      "81920 tokens are 10 sequences of 8192, but global_batch is 4 (remove one of the two)",
    ],
    [
      "shard group",
      job({ tp: 8, shard_group: 3 }),
      "shard_group=3 does not divide dp x cp = 8 (use shard_group=2 or shard_group=4)",
    ],
    [
      "sharding",
      job({ sharding: "none", shard_group: 8 }),
      'shard_group=8 contradicts sharding "none" (remove one of the two)',
    ],
    ["formats", job({ precision: "fp8" }, { cluster: "64xa100" }), "matrix units"],
    ["routing", job({ routing: { power_law: 1 } }), "no experts to route to"],
    ["expert width without experts", job({ etp: 2 }), 'etp=2, but "llama" has no experts (remove etp)'],
    [
      "a spread head without a chunk for it",
      job({ pp: 2, schedule: "gpipe", vocab_over_stages: true, stage_layers: [40, 40] }),
      "A head spread over the stages is one more chunk of every pipeline rank",
    ],
    [
      "experts whose tokens are whole",
      job({ tp: 2, ep: 8, etp: 1, sequence_parallel: false }, { model: moe }),
      "(turn sequence_parallel on, or set etp equal to tp)",
    ],
    ["a misspelled inline field", job({}, { model: { layers: 4, hiden: 64, heads: 8, ffn: 256 } }), '"hiden"'],
    [
      "more devices than there are",
      job({}, { cluster: "99999999992xh100" }),
      "more than the 10000000 a cluster may have",
    ],
    ["schedule", job({ schedule: "1f1" }), 'did you mean "1f1b"'],
  ])("refuses what does not divide: %s", (_name, description, expected) => {
    expect(findings(description).join("\n")).toContain(expected);
  });

  it("reports everything at once", () => {
    const all = findings({
      model: "nothing-like-it",
      cluster: "64xh1000",
      workload: { seq: -5, globl_batch: 3 },
      strategy: {
        tp: Number.NaN,
        pp: "four",
        sharding: "zero4",
        recompute: { kind: "full", modules: ["attention"] },
        order: "tp-dp",
      },
      sofware: "megatron",
    });
    for (const path of [
      "sofware",
      "workload.globl_batch",
      "workload.seq",
      "strategy.tp",
      "strategy.pp",
      "strategy.sharding",
      "strategy.recompute.modules",
      "strategy.order",
      "model",
      "cluster",
    ]) {
      expect(
        all.some((line) => line.startsWith(`${path}: `)),
        `${path} in\n${all.join("\n")}`,
      ).toBe(true);
    }
    expect(all.join("\n")).toContain('did you mean "global_batch"');
    expect(all.join("\n")).toContain('did you mean "software"');
    expect(all.join("\n")).toContain("got NaN");
  });

  it("prefixes findings inside a model config", () => {
    expect(
      findings(job({}, { model: { model_type: "llama", hidden_size: -1 } })).every((line) => line.startsWith("model.")),
    ).toBe(true);
    expect(findings(job({}, { model: { layers: 4, hidden: 64, heads: 0, ffn: 256, vocab: 100 } })).join()).toContain(
      "model.heads",
    );
  });

  it("reads recompute, routing and software in all their shapes", () => {
    expect(resolve(job({ recompute: "selective" })).strategy.recompute).toEqual({
      kind: "selective",
      modules: ["attention"],
    });
    expect(resolve(job({ recompute: { kind: "full", every_layers: 2 } })).strategy.recompute).toEqual({
      kind: "full",
      everyLayers: 2,
      numLayers: "all",
    });
    const routed = resolve(job({ routing: { power_law: 1 } }, { model: moe })).strategy.routing;
    expect(routed.kind === "given" && routed.shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(routed.kind === "given" && routed.shares[0]! / routed.shares[1]!).toBeCloseTo(2, 12);
    const software = resolve(
      job(
        {},
        { software: { preset: "generic", host_sec_per_kernel: "3us", reserved_bytes: "4GiB", fused_norm: true } },
      ),
    ).software;
    expect(software).toMatchObject({ hostSecPerKernel: 3e-6, reservedBytes: 4 * 2 ** 30, fusedNorm: true });
  });

  it("never throws anything but InputError, whatever the description", () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.jsonValue(),
        fc.dictionary(
          fc.constantFrom("tp", "pp", "cp", "ep", "schedule", "recompute", "routing", "chunks", "stage_layers"),
          fc.jsonValue(),
        ),
        (a, b, strategy) => {
          findings({ model: a, cluster: b, strategy, workload: a, software: b });
          findings(job(strategy));
          findings(a);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("accepts only strategies whose sizes really divide", () => {
    const size = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(
        fc.record({ tp: size, pp: size, cp: size }),
        fc.integer({ min: 1, max: 300 }),
        (strategy, globalBatch) => {
          const description = job(strategy, { workload: { seq: 8192, global_batch: globalBatch } });
          if (findings(description).length > 0) return;
          const { tp, pp, cp, dp } = resolve(description).strategy;
          expect(tp * pp * cp * dp).toBe(64);
          expect([64 % tp, 8192 % (2 * cp) === 0 || cp === 1, globalBatch % dp]).toEqual([0, true, 0]);
        },
      ),
    );
  });
});
