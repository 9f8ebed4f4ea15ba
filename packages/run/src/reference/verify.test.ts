import {
  type Block,
  lowerTraining,
  type ModelSpec,
  type Op,
  offloadActivations,
  type Program,
  type Software,
} from "@meshwright/core";
import { describe, expect, it } from "vitest";
import { runStep } from "./engine.ts";
import { plainChoice, type TinyChoice, tinyCase, tinyModels } from "./tinyCases.fixture.ts";
import { verifyProgram } from "./verify.ts";

function lowered(
  choice: Partial<TinyChoice>,
  changes: {
    readonly vocabOverStages?: boolean;
    readonly globalBatch?: number;
    readonly layerKinds?: ModelSpec["layerKinds"];
  } & Partial<Software> = {},
) {
  const { model, strategy, workload, software } = tinyCase({ ...plainChoice, ...choice });
  const {
    vocabOverStages = false,
    globalBatch = workload.globalBatch,
    layerKinds = model.layerKinds,
    ...facts
  } = changes;
  const layers = vocabOverStages ? model.layers.slice(0, (strategy.numChunks - 1) * strategy.pp) : model.layers;
  const spec = { ...model, layers, layerKinds };
  const program = lowerTraining(
    spec,
    { ...strategy, vocabOverStages },
    { ...workload, globalBatch },
    { ...software, ...facts },
  );
  return { program, request: { model: spec, seqLen: workload.seqLen, globalBatch, routing: strategy.routing } };
}

function changeBlocks(program: Program, change: (block: Block) => Block): Program {
  return { ...program, blocks: program.blocks.map(change) };
}

function dropFirst(ops: readonly Op[], matches: (op: Op) => boolean): readonly Op[] {
  const at = ops.findIndex(matches);
  return at < 0 ? ops : ops.filter((_, i) => i !== at);
}

describe("verifyProgram() finds wrong programs", () => {
  const { program, request } = lowered({ tensor: { tp: 2, sequenceParallel: false }, dp: 2 });

  it("a missing sum over tp in backward", () => {
    const wrong = changeBlocks(program, (block) => ({
      ...block,
      backward: dropFirst(block.backward, (op) => op.kind === "collective" && op.axis === "tp"),
    }));
    expect(() => expect(verifyProgram(wrong, request).gradMaxRelErr).toBeLessThan(1e-9)).toThrow();
  });

  it("gradients that data-parallel ranks never summed", () => {
    const wrong = changeBlocks(program, (block) => ({ ...block, reduce: [] }));
    expect(() => verifyProgram(wrong, request)).toThrow(/copies of .* agree/);
  });

  it("a buffer that is read after its last life ended", () => {
    const wrong = changeBlocks(program, (block) => {
      const writer = block.forward[0]!;
      return { ...block, forward: block.forward.filter((op) => op !== writer) };
    });
    expect(() => verifyProgram(wrong, request)).toThrow(/is live on rank/);
  });

  it("a mask without a causal edge changes the loss", () => {
    const wrong = changeBlocks(program, (block) => ({
      ...block,
      forward: block.forward.map((op) =>
        op.kind === "attention" ? { ...op, geometry: { ...op.geometry, causal: false } } : op,
      ),
    }));
    expect(verifyProgram(wrong, request).lossRelErr).toBeGreaterThan(1e-6);
  });
});

describe("keys and values repeated to every query head", () => {
  const facts: Partial<Software> = { repeatsKvHeads: true, cpGradDtype: "fp32" };
  const rings: readonly TinyChoice["context"][] = [
    { cp: 4, ulysses: 1, cpLayout: "contiguous" },
    { cp: 4, ulysses: 1, cpLayout: "zigzag" },
    { cp: 2, ulysses: 1, cpLayout: "zigzag" },
  ];

  it.each([false, true])("give the unsplit model's gradients around a ring, gathered %s", (cpGathersKv) => {
    for (const layer of tinyModels.multiQuery.layerKinds) {
      for (const context of rings) {
        const { program, request } = lowered(
          { model: "multiQuery", context },
          { ...facts, cpGathersKv, layerKinds: [layer, layer, layer] },
        );
        const outcome = verifyProgram(program, request);
        expect(outcome.lossRelErr).toBeLessThan(1e-9);
        expect(outcome.gradMaxRelErr).toBeLessThan(1e-9);
      }
    }
  });

  it("are what travels around the ring", () => {
    const widths = (changes: Partial<Software>) => {
      const { program } = lowered({ model: "multiQuery", context: rings[0]! }, changes);
      return program.blocks.flatMap((block) =>
        block.forward.flatMap((op) => (op.kind === "ringShift" ? op.xs.map((id) => block.buffers[id]!.shape[1]!) : [])),
      );
    };
    const [plain, repeated] = [widths({}), widths(facts)];
    expect(plain.length).toBeGreaterThan(0);
    expect(repeated).toEqual(plain.map((width) => 4 * width)); // one head of keys and values, four query heads
  });
});

describe("runStep()", () => {
  it("draws the same dropout masks under every split", () => {
    const outcomes = [
      lowered({}, { dropout: 0.3, attention: "unfused", globalBatch: 4 }),
      lowered({ tensor: { tp: 2, sequenceParallel: true } }, { dropout: 0.3, attention: "unfused", globalBatch: 4 }),
      lowered(
        { context: { cp: 2, ulysses: 2, cpLayout: "contiguous" }, dp: 2 },
        { dropout: 0.3, attention: "unfused", globalBatch: 4 },
      ),
    ].map(({ program, request }) => runStep(program, { vocab: request.model.vocab }));
    const [whole, ...splits] = outcomes;
    const without = lowered({}, { attention: "unfused", globalBatch: 4 });
    expect(
      Math.abs(runStep(without.program, { vocab: without.request.model.vocab }).loss - whole!.loss),
    ).toBeGreaterThan(1e-3);
    for (const split of splits) {
      expect(split.loss).toBeCloseTo(whole!.loss, 12);
      for (const [name, gradient] of whole!.gradients) {
        for (const [i, value] of gradient.entries()) expect(split.gradients.get(name)![i]).toBeCloseTo(value, 10);
      }
    }
  });

  it("runs a head whose vocabulary is spread over the pipeline stages", () => {
    for (const tensor of [
      { tp: 1, sequenceParallel: false },
      { tp: 2, sequenceParallel: true },
    ]) {
      const { program, request } = lowered(
        { tensor, pipeline: { pp: 2, schedule: "interleaved", numChunks: 2 } },
        { vocabOverStages: true },
      );
      const result = verifyProgram(program, request);
      expect(result.lossRelErr).toBeLessThan(1e-9);
      expect(result.gradMaxRelErr).toBeLessThan(1e-9);
      expect(result.bytes.mismatches).toEqual([]);
      expect(result.memory.mismatches).toEqual([]);
    }
  });

  it("brings offloaded activations back before backward reads them", () => {
    for (const recompute of [plainChoice.recompute, { kind: "selective", modules: ["attention", "norm"] }] as const) {
      const { program, request } = lowered({ tensor: { tp: 2, sequenceParallel: true }, recompute });
      const result = verifyProgram(
        changeBlocks(program, (block) => offloadActivations(block, 0)),
        request,
      );
      expect(result.gradMaxRelErr).toBeLessThan(1e-9);
      expect(result.memory.mismatches).toEqual([]);
      expect(result.memory.executedPeakBytes).toEqual(result.memory.predictedPeakBytes);
    }
  });

  it("recomputes only as far as backward needs where the framework stops early", () => {
    for (const model of ["llama", "moe"] as const) {
      const recompute = { kind: "full", everyLayers: 1, numLayers: "all" } as const;
      const whole = lowered({ model, recompute, dp: 2 });
      const early = lowered({ model, recompute, dp: 2 }, { recomputeStopsEarly: true });
      const numOps = (of: typeof whole) => of.program.blocks.reduce((sum, block) => sum + block.recompute.length, 0);
      expect(numOps(early)).toBeLessThan(numOps(whole));
      const result = verifyProgram(early.program, early.request);
      expect(result.gradMaxRelErr).toBeLessThan(1e-9);
      expect(result.memory.mismatches).toEqual([]);
    }
  });

  it("keeps the gradients of losses, norms and updates that hold more than they need", () => {
    const facts: readonly Partial<Software>[] = [
      { crossEntropy: "fp32Copy", eagerLoss: true },
      { crossEntropy: "fp32Copy", eagerLoss: true, shardedLossByTensor: true },
      { crossEntropy: "vocabParallel", compiled: true },
      { normProduct: "fp32" },
      { normProduct: "working" },
      { updatesWorkingParams: true, optimizerStateDtype: "bf16" },
    ];
    const whole = lowered({});
    for (const changes of facts) {
      for (const tp of [1, 2]) {
        const { program, request } = lowered({ tensor: { tp, sequenceParallel: tp > 1 }, dp: 2 }, changes);
        const result = verifyProgram(program, request);
        expect(result.lossRelErr).toBeLessThan(1e-9);
        expect(result.gradMaxRelErr).toBeLessThan(1e-9);
        expect(result.updateMaxRelErr).toBeLessThan(1e-9);
        expect(result.memory.mismatches).toEqual([]);
      }
      expect(lowered({}, changes).program.blocks).not.toEqual(whole.program.blocks);
    }
  });

  it("copies key-value heads over neighbouring ranks where there are fewer than tp", () => {
    const layerKinds = tinyModels.multiQuery.layerKinds.map((each) => ({
      ...each,
      mixer: { ...each.mixer, kvHeads: 2 },
    }));
    for (const kind of ["none", "zero1", "zero3"] as const) {
      for (const fusedProjections of [true, false]) {
        const { program, request } = lowered(
          {
            model: "multiQuery",
            tensor: { tp: 4, sequenceParallel: kind !== "none" },
            dp: 2,
            sharding: { kind, shardShare: 1, reshard: true },
          },
          { layerKinds, fusedProjections },
        );
        expect(program.mesh.kvReplicas).toBe(2);
        const result = verifyProgram(program, request);
        expect(result.gradMaxRelErr, result.worstParameter).toBeLessThan(1e-9);
        expect(result.updateMaxRelErr).toBeLessThan(1e-9);
        expect(result.gradNormRelErr).toBeLessThan(1e-9);
        expect(result.bytes.mismatches).toEqual([]);
        const unsummed = changeBlocks(program, (block) => ({
          ...block,
          reduce: block.reduce.filter((op) => op.kind !== "collective" || op.axis !== "kvReplica"),
        }));
        expect(() => verifyProgram(unsummed, request)).toThrow(/copies of .*qkv.* agree/);
      }
    }
  });

  it("sums the token table of an encoder-decoder over every pipeline rank that holds it", () => {
    for (const kind of ["none", "zero1", "zero3"] as const) {
      const { program, request } = lowered({
        model: "encoderDecoder",
        tensor: { tp: 2, sequenceParallel: true },
        dp: 2,
        sharding: { kind, shardShare: 1, reshard: true },
        pipeline: { pp: 3, schedule: "1f1b", numChunks: 1 },
      });
      expect(program.mesh.tableRanks).toEqual([0, 1, 2]);
      const result = verifyProgram(program, request);
      expect(result.lossRelErr).toBeLessThan(1e-9);
      expect(result.gradMaxRelErr, result.worstParameter).toBeLessThan(1e-9);
      expect(result.gradNormRelErr).toBeLessThan(1e-9);
      expect(result.bytes.mismatches).toEqual([]);
      expect(result.memory.mismatches).toEqual([]);
      expect(() => verifyProgram({ ...program, embeddingSync: null }, request)).toThrow(
        /copies of embedding.table.* agree/,
      );
    }
  });

  it("pads shards that do not divide evenly", () => {
    for (const kind of ["zero1", "zero2", "zero3"] as const) {
      const { program, request } = lowered({ dp: 3, sharding: { kind, shardShare: 1, reshard: true } });
      const result = verifyProgram(program, request);
      expect(result.gradMaxRelErr).toBeLessThan(1e-9);
      expect(result.updateMaxRelErr).toBeLessThan(1e-9);
    }
  });
});
