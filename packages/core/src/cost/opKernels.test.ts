import { expect, test } from "vitest";
import { lowerTraining } from "../parallel/lower/index.ts";
import type { Block, Op, Program } from "../parallel/program.ts";
import { resolveSpec } from "../spec/index.ts";
import { opContext } from "./opContext.ts";
import { opKernels, phaseWork } from "./opKernels.ts";
import { opName } from "./opNames.ts";
import { outermostLevel, priceOps } from "./priceOps.ts";
import { routingLoad } from "./routingLoad.ts";
import type { GemmQuery } from "./types.ts";

function lowered(model: string, strategy: Record<string, unknown>, software = "megatron-core-2025", seq = 2048) {
  const spec = resolveSpec(
    { model, cluster: "64xh100-sxm", strategy, workload: { seq, global_batch: 64 }, software },
    { load: () => undefined },
  );
  const program = lowerTraining(spec.model, spec.strategy, spec.workload, spec.software);
  return { program, context: opContext({ cluster: spec.cluster, mesh: program.mesh, software: spec.software }) };
}

const allOps = (block: Block): Op[] => [
  ...block.gather,
  ...block.forward,
  ...block.recompute,
  ...block.backward,
  ...block.reduce,
  ...block.update,
];
const stepFlops = (at: ReturnType<typeof lowered>): number => {
  const { program, context } = at;
  let flops = 0;
  for (const stage of program.stages) {
    for (const use of stage.uses) {
      const block = program.blocks[use.block]!;
      for (const work of phaseWork(block, [...block.forward, ...block.backward], context)) flops += work.workFlops;
    }
  }
  const { tp, cp, dp } = program.mesh;
  return flops * tp * cp * dp * program.microBatchesPerStep;
};

test("opKernels() keeps the step's flops under every way of splitting it", () => {
  const whole = stepFlops(lowered("llama-3.2-1b", { sharding: "none" }));
  for (const strategy of [
    { tp: 4, sharding: "none" },
    { tp: 4, sequence_parallel: false, sharding: "none" },
    { cp: 2, cp_layout: "zigzag" },
    { pp: 4, sharding: "zero1" },
    { sharding: "zero3", micro_batch: 1 },
  ]) {
    expect(stepFlops(lowered("llama-3.2-1b", strategy)) / whole, JSON.stringify(strategy)).toBeCloseTo(1, 2);
  }
});

test("opKernels() prices every op of every phase: finite, and no launch without a kernel", () => {
  const programs = [
    lowered("llama-3.1-8b", { tp: 2, pp: 2, sharding: "zero1", precision: "fp8" }),
    lowered("deepseek-v2-lite", { ep: 8, pp: 4, sharding: "zero1" }),
    lowered("gpt2-medium", { tp: 2 }, "megatron-2021", 1024),
    lowered("mamba-codestral-7b", { sharding: "zero3" }, "generic"),
    lowered("t5-3b", { sharding: "zero1" }, "generic", 512),
    lowered("qwen3-30b-a3b", { ep: 8, sharding: "zero3", optimizer: "muon" }),
    lowered("llama-3.2-3b", { cp: 4, offload_optimizer: true, offload_activations: true, sharding: "zero1" }),
  ];
  const kinds = new Set<string>();
  for (const { program, context } of programs) {
    for (const block of program.blocks) {
      for (const list of [block.gather, block.forward, block.recompute, block.backward, block.reduce, block.update]) {
        const priced = priceOps(block, list, context);
        priced.forEach((each) => {
          kinds.add(each.op.kind);
          expect(each.durationSec, each.name).toBeGreaterThanOrEqual(0);
          expect(Number.isFinite(each.durationSec)).toBe(true);
          if (each.op.fused === true && each.level < 0) expect(each.numLaunches).toBe(0);
          else if (each.durationSec > 0) expect(each.numLaunches, each.name).toBeGreaterThan(0);
        });
      }
    }
  }
  expect(kinds.size).toBeGreaterThan(25);
});

const find = <K extends Op["kind"]>(
  program: Program,
  kind: K,
  test: (op: Extract<Op, { kind: K }>) => boolean = () => true,
) => {
  for (const block of program.blocks) {
    for (const op of allOps(block))
      if (op.kind === kind && test(op as Extract<Op, { kind: K }>))
        return { block, op: op as Extract<Op, { kind: K }> };
  }
  throw new Error(`the program has a ${kind}`);
};

test("opKernels() reads m, n, k and the layout of a GEMM from its buffers and role", () => {
  const { program, context } = lowered("llama-3.1-8b", { tp: 2, micro_batch: 1, sharding: "zero1" });
  const query = (role: string) => {
    const { block, op } = find(
      program,
      "matmul",
      (each) => each.role === role && block_name(each, program).includes("ffn.down"),
    );
    const { query, times } = opKernels(op, block, context).queries[0]!;
    return { ...(query as GemmQuery), times };
  };
  // ffn.down: hidden 4096, inner 14336 / tp 2 = 7168, 2048 tokens; user buffers run the forward product in two halves of the rows.
  expect(query("forward")).toMatchObject({ m: 1024, times: 2, n: 4096, k: 7168, layout: "TN", accumulate: false });
  expect(query("inputGrad")).toMatchObject({ m: 2048, n: 7168, k: 4096, layout: "NN" });
  expect(query("weightGrad")).toMatchObject({ m: 4096, n: 7168, k: 2048, layout: "NT", accumulate: true });
});

function block_name(op: Extract<Op, { kind: "matmul" }>, program: Program): string {
  for (const block of program.blocks) {
    if (![...block.forward, ...block.backward].includes(op)) continue;
    return block.buffers[op.role === "weightGrad" ? op.out : op.b]!.name;
  }
  return "";
}

test("opName() names a weight alike in every layer, phase and sharding", () => {
  const names = (strategy: Record<string, unknown>, software: string) => {
    const { program } = lowered("llama-3.1-8b", strategy, software);
    const found = new Set<string>();
    for (const block of program.blocks)
      for (const op of allOps(block)) if (op.kind === "matmul") found.add(opName(op, block));
    return [...found].sort();
  };
  const expected = ["attention.out", "attention.qkv", "ffn.down", "ffn.up", "head.table"].flatMap((name) =>
    ["", " (input grad)", " (weight grad)"].map((role) => `matmul ${name}${role}`),
  );
  expect(names({ tp: 2, sharding: "zero1" }, "megatron-core-2025")).toEqual(expected.sort());
  expect(names({ sharding: "zero3", recompute: "full" }, "torchtitan-2025")).toEqual(expected);
  expect(names({ sharding: "none" }, "generic")).toEqual(expected);
});

test("a fused op moves only what its kernel has not touched yet", () => {
  const { program, context } = lowered("llama-3.2-1b", { tp: 2 });
  const { block, op } = find(program, "add", (each) => each.fused !== true);
  const alone = opKernels(op, block, context);
  const fused = opKernels({ ...op, fused: true }, block, context, new Set([op.a]));
  expect(fused.numLaunches).toBe(0);
  expect(fused.sizeBytes).toBe((alone.sizeBytes * (op.a === op.out ? 1 : 2)) / 3);
});

test("collectives are sized by their convention and placed on the levels their group spans", () => {
  const { program, context } = lowered("llama-3.2-1b", { tp: 4, sharding: "zero3" });
  const { block, op } = find(program, "collective", (each) => each.op === "allGather" && each.axis === "shard");
  const [only] = opKernels(op, block, context).queries;
  const elements = op.outs.reduce((sum, id) => sum + block.buffers[id]!.shape.reduce((a, b) => a * b, 1), 0);
  expect(only!.query).toMatchObject({ kind: "collective", op: "allGather", sizeBytes: elements * 2 });
  expect(context.spans("tp").at(-1)).toBe(4);
  expect(outermostLevel(context.spans("tp"))).toBe(0);
  expect(outermostLevel(context.spans("shard"))).toBeGreaterThan(0);
});

test("routingLoad() is even for dealt routing and follows given shares to the fullest rank", () => {
  const base = {
    experts: 4,
    topk: 1,
    localExperts: 2,
    capacityFactor: null,
    layout: { batch: 1, seqLen: 8, cp: "none", ulyssesSplit: false, tpSplit: false },
  } as const;
  expect(routingLoad({ ...base, policy: { kind: "balanced" } }, 100)).toEqual({ rank: 1, expert: 1 });
  const given = routingLoad({ ...base, policy: { kind: "given", shares: [0.1, 0.2, 0.5, 0.2] } }, 100);
  expect(given.rank).toBeCloseTo(1.4, 12);
  expect(given.expert).toBeCloseTo(0.5 / 0.35, 12);
  const topk = routingLoad({ ...base, policy: { kind: "topk" } }, 1e6);
  expect(topk.rank).toBeGreaterThan(1);
  expect(topk.rank).toBeLessThan(1.01);
});
