import { expect, test } from "vitest";
import { resolveSpec } from "../../spec/index.ts";
import { memoryMoves, predictStep } from "../predictStep.ts";
import { labelsText, type PeakBuffer } from "./peakBuffers.ts";

const jobs: Readonly<
  Record<string, { readonly strategy: Record<string, unknown>; readonly software?: string; readonly model?: string }>
> = {
  "1F1B, ZeRO-1": { strategy: { tp: 2, pp: 4, sharding: "zero1" } },
  interleaved: { strategy: { pp: 4, chunks: 2, schedule: "interleaved", sharding: "zero1" } },
  "zero bubble": { strategy: { pp: 4, schedule: "zb-h1", sharding: "zero1" } },
  DualPipe: { strategy: { pp: 4, schedule: "dualpipe", sharding: "zero1" } },
  FSDP: { strategy: { sharding: "zero3" }, software: "torchtitan-2025" },
  "FSDP, full recompute": { strategy: { sharding: "zero3", recompute: "full" }, software: "torchtitan-2025" },
  experts: { strategy: { ep: 8, sharding: "zero1" }, model: "granite-3.1-1b-a400m" },
  offloaded: { strategy: { sharding: "zero1", offload_optimizer: true, offload_activations: true } },
  "data parallel": { strategy: { sharding: "none" }, software: "pytorch-ddp" },
  DeepSpeed: { strategy: { pp: 2, sharding: "zero1" }, software: "deepspeed-2021" },
};

const sumOf = (buffers: readonly PeakBuffer[], test: (buffer: PeakBuffer) => boolean) =>
  buffers.reduce((sum, buffer) => (test(buffer) ? sum + buffer.sizeBytes : sum), 0);

test.each(Object.entries(jobs))(
  "%s: buffers at the peak add up to the memory of every rank, kind by kind",
  (_, job) => {
    const { strategy, software = "megatron-core-2025", model = "llama-3.2-1b" } = job;
    const spec = resolveSpec(
      { model, cluster: "16xh100-sxm", strategy, workload: { seq: 2048, global_batch: 64 }, software },
      { load: () => undefined },
    );
    const step = predictStep(spec, { ignoreMemory: true, buffers: true });
    if (step.kind !== "ok") throw new Error("a step that ignores memory is feasible");
    step.ranks.forEach(({ memory }, rank) => {
      const { buffers } = step.buffers![rank]!;
      const onDevice = buffers.filter(({ tier }) => tier === "hbm");
      const of = (kind: PeakBuffer["kind"]) => sumOf(onDevice, (buffer) => buffer.kind === kind);
      expect(of("parameter")).toBe(memory.parameterBytes);
      expect(of("optimizer")).toBe(memory.optimizerBytes);
      const all = sumOf(onDevice, () => true) + memory.fragmentationBytes + memory.reservedBytes;
      expect(all / memory.peakBytes).toBeCloseTo(1, 9);
      // A stash of other kinds (a gradient kept for W) counts as activations there.
      expect(of("activation") - memory.activationBytes).toBeLessThan(1);
      const offloaded = sumOf(buffers, ({ tier }) => tier !== "hbm");
      expect(offloaded).toBeLessThanOrEqual(memory.hostBytes!);
    });
  },
);

test("a stashed buffer counts once a micro-batch in flight and says from where to where it lives", () => {
  const spec = resolveSpec(
    {
      model: "llama-3.2-1b",
      cluster: "16xh100-sxm",
      strategy: { pp: 4, sharding: "zero1" },
      workload: { seq: 2048, global_batch: 64 },
      software: "megatron-core-2025",
    },
    { load: () => undefined },
  );
  const step = predictStep(spec, { buffers: true });
  if (step.kind !== "ok") throw new Error("fits");
  const stashOf = (rank: number) =>
    step.buffers![rank]!.buffers.find(({ name, state }) => state === "stash" && name.includes("qkv"))!;
  // 1F1B: rank 0 of 4 holds 4 micro-batches while a backward runs, one of which is the running one; 4 layers a rank.
  expect(stashOf(0)).toMatchObject({ count: 3 * 4, owner: "layers.0-3" });
  expect(stashOf(2)).toMatchObject({ count: 1 * 4, owner: "layers.8-11" });
  expect(stashOf(0).from).toMatch(/^forward: matmul/);
  expect(stashOf(0).to).toMatch(/^backward: /);
});

test("labels of neighbours are written as a range", () => {
  expect(labelsText(["embedding", "layers.0", "layers.1", "layers.2", "layers.7", "head"])).toBe(
    "embedding, layers.0-2, layers.7, head",
  );
});

test("single changes say what they make of memory and time, those that do not fit included", () => {
  const spec = resolveSpec(
    { model: "llama-3.1-70b", cluster: "16xh100-sxm", strategy: { tp: 8 }, workload: { seq: 8192, global_batch: 64 } },
    { load: () => undefined },
  );
  const moves = memoryMoves(spec);
  const now = predictStep(spec, { ignoreMemory: true });
  if (now.kind !== "ok") throw new Error("a step that ignores memory is feasible");
  const peakBytes = now.ranks[now.peakRank]!.memory.peakBytes;
  const full = moves.find(({ changes }) => changes["strategy.recompute"] === "full")!;
  expect(full.needBytes).toBeLessThan(peakBytes);
  expect(full.stepSec).toBeGreaterThan(now.stepSec);
  expect(moves.some(({ needBytes }) => needBytes > now.ranks[0]!.memory.capacityBytes)).toBe(true);
});
