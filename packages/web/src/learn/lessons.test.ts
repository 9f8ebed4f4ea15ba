import { describe, expect, test } from "vitest";
import { type LayerLesson, lessonRun, lessons } from "./lessons.ts";
import { learnLayer, learnSchedule, learnSchedules, type OpFact, phases, type VariantFacts } from "./tasks.ts";

const layerLessons = lessons.filter((lesson): lesson is LayerLesson => lesson.kind === "layer");
const factsOf = (id: string): readonly VariantFacts[] => {
  const lesson = layerLessons.find((each) => each.id === id);
  if (lesson === undefined) throw new Error(`there is a lesson ${id}`);
  return learnLayer({
    variants: lesson.variants.map((variant) => ({ label: variant.label, run: lessonRun(lesson, variant) })),
  });
};
const comms = (ops: readonly OpFact[], lane?: string) =>
  ops.filter((op) => op.lane !== "compute" && (lane === undefined || op.lane === lane)).map(({ name }) => name);

describe("lessons", () => {
  test("each names papers and has a first variant", () => {
    for (const lesson of layerLessons) {
      expect(lesson.papers.length, lesson.id).toBeGreaterThan(0);
      for (const { arxiv } of lesson.papers) expect(arxiv).toMatch(/^\d{4}\.\d{5}$/);
      expect(lesson.variants[lesson.first], lesson.id).toBeDefined();
    }
  });

  test("every variant is lowered, priced and simulated", () => {
    for (const lesson of layerLessons)
      for (const facts of factsOf(lesson.id)) {
        expect(facts.stepSec, `${lesson.id} ${facts.label}`).toBeGreaterThan(0);
        expect(facts.ops.forward.length).toBeGreaterThan(5);
        for (const phase of phases)
          for (const op of facts.ops[phase]) expect(Number.isFinite(op.durationSec), op.name).toBe(true);
      }
  });

  test("tensor parallel: two all-reduces of a layer appear in forward when 1 becomes 2, and the FLOPs halve", () => {
    const [one, two] = factsOf("tensor");
    expect(comms(one!.ops.forward)).toEqual([]);
    expect(comms(two!.ops.forward)).toEqual(["all-reduce", "all-reduce"]);
    expect(two!.ops.forward.filter((op) => op.isNew).map(({ name }) => name)).toEqual(["all-reduce", "all-reduce"]);
    expect(two!.layerFlops).toBeCloseTo(one!.layerFlops / 2, -9);
  });

  test("ZeRO-1 and 2 send what an all-reduce sends; ZeRO-3 half as much again", () => {
    const [none, one, , three] = factsOf("zero");
    expect(one!.stepBytes).toBeCloseTo(none!.stepBytes, -3);
    expect(three!.microBytes / none!.stepBytes).toBeCloseTo(1.5, 2);
  });

  test("sequence parallel: each all-reduce becomes a reduce-scatter and an all-gather of as many bytes in forward, and less is kept", () => {
    const [whole, split] = factsOf("sequence");
    expect(comms(whole!.ops.forward)).toEqual(["all-reduce", "all-reduce"]);
    expect(comms(split!.ops.forward)).toEqual(["all-gather", "reduce-scatter", "all-gather", "reduce-scatter"]);
    const sent = ({ ops }: VariantFacts) =>
      ops.forward.reduce((sum, op) => sum + (op.lane === "tp" ? op.sizeBytes : 0), 0);
    expect(sent(split!)).toBe(sent(whole!));
    expect(split!.activationBytes).toBeLessThan(whole!.activationBytes);
  });

  test("data parallel: nothing but a reduction of gradients, once a step", () => {
    const facts = factsOf("data");
    for (const each of facts) expect(comms(each.ops.forward)).toEqual([]);
    expect(facts[0]!.stepBytes).toBe(0);
    expect(comms(facts[3]!.ops.reduce)).toEqual(["all-reduce"]);
    expect(facts[3]!.parameterBytes).toBe(facts[0]!.parameterBytes);
  });

  test("ZeRO: each stage cuts what it says, and stage 3 gathers before use", () => {
    const [none, one, two, three] = factsOf("zero");
    expect(one!.optimizerBytes).toBeLessThan(none!.optimizerBytes / 7);
    expect(one!.parameterBytes).toBe(none!.parameterBytes);
    expect(two!.gradientBytes).toBeLessThan(one!.gradientBytes);
    expect(three!.parameterBytes).toBeLessThan(none!.parameterBytes / 7);
    expect(three!.gatherWhen).toBe("before forward and before backward");
  });

  test("ring: shifts go round inside attention; Ulysses: exchanges around it", () => {
    expect(comms(factsOf("ring")[1]!.ops.forward, "cp").join()).toMatch(/ring/);
    expect(comms(factsOf("ulysses")[1]!.ops.forward, "cp").join()).toMatch(/all-to-all/);
  });

  test("experts: tokens travel there and back", () => {
    const [one, two] = factsOf("expert");
    expect(comms(one!.ops.forward, "ep")).toEqual([]);
    expect(comms(two!.ops.forward, "ep").length).toBeGreaterThanOrEqual(2);
  });

  test("recomputation keeps less and does more", () => {
    const facts = factsOf("recompute");
    const [kept, , again] = facts;
    expect(again!.activationBytes).toBeLessThan(kept!.activationBytes / 2);
    expect(again!.layerFlops / kept!.layerFlops).toBeGreaterThan(1.2);
  });

  test("offload: states leave the device, and copies appear", () => {
    const [kept, optimizer, activations] = factsOf("offload");
    expect(optimizer!.optimizerBytes).toBeLessThan(kept!.optimizerBytes);
    expect(optimizer!.hostBytes).toBeGreaterThan(0);
    expect(comms(activations!.ops.forward, "copy").length).toBeGreaterThan(0);
  });
});

test("every schedule is drawn, is sound, and has its paper's bubble where the paper states one", () => {
  for (const { name, source } of learnSchedules({})) {
    const facts = learnSchedule({ name, numRanks: 4, numMicroBatches: 8, numChunks: 2 });
    expect(facts.problems, name).toEqual([]);
    expect(source, name).toMatch(/arXiv|DualPipe/);
    if (facts.closedFormFrac !== null) expect(facts.bubbleFrac, name).toBeCloseTo(facts.closedFormFrac, 6);
    expect(Math.max(...facts.blocks.map(({ end }) => end))).toBeCloseTo(facts.makespan, 9);
  }
});
