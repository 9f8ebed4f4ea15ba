// Steps of a small model for calibration: which question of a price every op asks, and what it took.

import type { Block, Op, Program } from "@meshwright/core";
import { type OpQuery, type OpWork, opContext, phaseWork } from "@meshwright/core/cost";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { hashedTokens } from "../../reference/data.ts";
import { opPlan } from "../../reference/opPlans.ts";
import { initialValue } from "../../reference/slices.ts";
import type { GroupsOf, RankLink } from "../engine/links.ts";
import { plainStep, RankEngine } from "../engine/rankEngine.ts";
import type { RankSpans } from "../engine/spanRecorder.ts";
import { wasmKernels } from "../kernels/index.ts";
import { paddedVocab } from "../launch/runRank.ts";
import type { ArenaMats } from "../memory/index.ts";
import { Lost } from "./lost.ts";

export type Asked = OpWork["queries"][number];

export interface StepRecord {
  /** The ops in the order in which they ran; each has a span of level 1. */
  readonly ran: readonly Op[];
  readonly spans: RankSpans;
}

export function stepEngine(
  program: Program,
  on: { readonly link: RankLink; readonly groups: GroupsOf; readonly memory: ArenaMats },
): { readonly step: () => StepRecord } {
  const ran: Op[] = [];
  const vocab = paddedVocab(program);
  const engine = new RankEngine({
    ...on,
    program,
    rank: on.link.rank,
    kernels: wasmKernels(on.memory.arena),
    vocab,
    initial: initialValue,
    rounds: false,
    poison: false,
    recordsSpans: true,
    watch: { before: () => {}, after: (_, op) => void ran.push(op) },
  });
  return {
    step: () => {
      ran.length = 0;
      const { spans } = engine.step(hashedTokens(vocab), plainStep);
      return { ran, spans: spans! }; // it records them
    },
  };
}

/** What the price of every op of a program is asked for. */
function worksOf(
  program: Program,
  { cluster, software }: ResolvedSpec,
): { readonly block: Block; readonly op: Op; readonly work: OpWork }[] {
  const context = opContext({ cluster, mesh: program.mesh, software });
  const phases = (block: Block) => [
    ...[block.gather, block.forward, block.recompute],
    ...[block.backward, block.reduce, block.update],
  ];
  const blocks = [...program.blocks, program.tail, program.embeddingSync].filter((block) => block !== null);
  return blocks.flatMap((block) =>
    phases(block).flatMap((ops) => phaseWork(block, ops, context).map((work, i) => ({ block, op: ops[i]!, work }))),
  );
}

/** The one question of each op that asks one. Fused ops are part of others, and products that add to their result have no point of their own. */
export function stepQueries(program: Program, resolved: ResolvedSpec): ReadonlyMap<Op, Asked> {
  const found = new Map<Op, Asked>();
  for (const { op, work } of worksOf(program, resolved)) {
    const [only] = work.queries;
    if (only === undefined || work.queries.length > 1 || op.fused === true) continue;
    if (only.query.kind === "gemm" && only.query.accumulate) continue;
    found.set(op, only);
  }
  return found;
}

/** Ops that add to a sum, but write it in the first micro-batch of a step (reference/freshSums.ts): they take less there than their price, which is that of an addition. */
export function firstWrites(program: Program, resolved: ResolvedSpec): ReadonlySet<Op> {
  return new Set(worksOf(program, resolved).flatMap(({ block, op }) => (opPlan(block, op).first === null ? [] : [op])));
}

/** Bytes that each op works on. */
export function stepBytesOf(program: Program, resolved: ResolvedSpec): ReadonlyMap<Op, number> {
  return new Map(worksOf(program, resolved).map(({ op, work }) => [op, work.sizeBytes]));
}

/** What each op took that asks one question, a question that repeats in parts. */
export function timesOf(
  queries: ReadonlyMap<Op, Asked>,
  { ran, spans }: StepRecord,
  first: { readonly ops: ReadonlySet<Op>; readonly numMicroBatches: number } = { ops: new Set(), numMicroBatches: 1 },
): { readonly query: OpQuery; readonly sec: number }[] {
  // Micro-batches follow each other, so an op's first calls are those of the first.
  const left = new Map<Op, number>();
  for (const op of ran) if (first.ops.has(op)) left.set(op, (left.get(op) ?? 0) + 1 / first.numMicroBatches);
  return opSpansOf(spans).flatMap((at, i) => {
    const op = ran[i]!; // a span for every op that ran
    const asked = queries.get(op);
    const numFirst = left.get(op) ?? 0;
    if (numFirst > 0.5) left.set(op, numFirst - 1);
    if (asked === undefined || numFirst > 0.5) return [];
    return [{ query: asked.query, sec: (spans.endSec[at]! - spans.startSec[at]!) / asked.times }];
  });
}

export function opSpansOf(spans: RankSpans): number[] {
  return Array.from({ length: spans.count }, (_, i) => i).filter((i) => spans.level[i] === 1);
}

/** A question and, for each step, the mean of the ops that ask it: what a step's total is made of, where single slow calls count. */
export interface Sample {
  readonly query: OpQuery;
  readonly stepSec: number[];
}

export class Samples {
  private readonly byQuery = new Map<string, Sample>();
  /** Calls that are left out, and how long they held the core up. */
  readonly lost: Lost;

  constructor(lost = new Lost()) {
    this.lost = lost;
  }

  /** @param ops of one step. */
  addStep(ops: readonly { readonly query: OpQuery; readonly sec: number }[]): void {
    const asked = new Map<string, { readonly query: OpQuery; readonly sec: number[] }>();
    for (const { query, sec } of ops) {
      const key = JSON.stringify(query);
      const known = asked.get(key) ?? { query, sec: [] };
      asked.set(key, known);
      known.sec.push(sec);
    }
    for (const [key, { query, sec }] of asked) {
      const sample = this.byQuery.get(key) ?? { query, stepSec: [] };
      this.byQuery.set(key, sample);
      sample.stepSec.push(this.lost.meanOfRest(sec));
    }
  }

  all(): readonly Sample[] {
    return [...this.byQuery.values()];
  }
}
