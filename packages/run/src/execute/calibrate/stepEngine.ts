// Steps of a small model for calibration: which question of a price every op asks, and what it took.

import type { Block, Op, Program } from "@meshwright/core";
import { type OpQuery, type OpWork, opContext, phaseWork } from "@meshwright/core/cost";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { hashedTokens } from "../../reference/data.ts";
import { initialValue } from "../../reference/slices.ts";
import type { GroupsOf, RankLink } from "../engine/links.ts";
import { plainStep, RankEngine } from "../engine/rankEngine.ts";
import type { RankSpans } from "../engine/spanRecorder.ts";
import { wasmKernels } from "../kernels/index.ts";
import { paddedVocab } from "../launch/runRank.ts";
import { median } from "../measure/opTotals.ts";
import type { ArenaMats } from "../memory/index.ts";

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

/** The one question of each op that asks one. Fused ops are part of others, and products that add to their result have no point of their own. */
export function stepQueries(program: Program, { cluster, software }: ResolvedSpec): ReadonlyMap<Op, Asked> {
  const context = opContext({ cluster, mesh: program.mesh, software });
  const found = new Map<Op, Asked>();
  const phases = (block: Block) => [
    ...[block.gather, block.forward, block.recompute],
    ...[block.backward, block.reduce, block.update],
  ];
  const blocks = [...program.blocks, program.tail, program.embeddingSync].filter((block) => block !== null);
  for (const block of blocks)
    for (const ops of phases(block))
      for (const [i, { queries }] of phaseWork(block, ops, context).entries()) {
        const op = ops[i]!;
        const [only] = queries;
        if (only === undefined || queries.length > 1 || op.fused === true) continue;
        if (only.query.kind === "gemm" && only.query.accumulate) continue;
        found.set(op, only);
      }
  return found;
}

/** A question and, for each step, the mean of the ops that ask it: what a step's total is made of, where single slow calls count. */
export interface Sample {
  readonly query: OpQuery;
  readonly stepSec: number[];
}

export class Samples {
  private readonly byQuery = new Map<string, Sample>();

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
      sample.stepSec.push(meanOfUndisturbed(sec));
    }
  }

  all(): readonly Sample[] {
    return [...this.byQuery.values()];
  }
}

/** Ops that took so many times the median lost a time slice (3 ms) to another program, or waited for a peer that did. */
const lostSlice = 10;

function meanOfUndisturbed(sec: readonly number[]): number {
  const kept = sec.filter((each) => each <= lostSlice * median(sec));
  return kept.reduce((sum, each) => sum + each, 0) / Math.max(1, kept.length);
}
