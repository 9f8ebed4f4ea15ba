// What collectives take inside training steps: ranks on threads train small models (stepModels.ts) under data and tensor parallelism, and a collective's time is what
// follows the arrival of the last rank (measure/waits.ts). So tensors lie where a step leaves them, packing counts, and a rank that went to sleep over its wait
// has to wake up.

import type { CollectivePoint, Mesh, Op } from "@meshwright/core";
import type { CollectiveQuery, OpQuery } from "@meshwright/core/cost";
import { communicators } from "../collectives/communicator.ts";
import type { RankSpans } from "../engine/spanRecorder.ts";
import { gatherToRoot } from "../launch/gather.ts";
import { prepareRun } from "../launch/prepare.ts";
import { warmUp, warmUpSec } from "../launch/warmUp.ts";
import { median } from "../measure/opTotals.ts";
import { meetingsOf, waitsOf } from "../measure/waits.ts";
import type { ArenaMats } from "../memory/index.ts";
import type { StreamTransport } from "../transport/streamTransport.ts";
import { type LostTime, lostTogether } from "./lost.ts";
import { Samples, stepEngine, stepQueries, timesOf } from "./stepEngine.ts";
import { meetingModels, stepSpec } from "./stepModels.ts";
import { quickWarmUpSec } from "./timing.ts";

/** Bytes that a rank needs for the largest of the runs. */
export function meetingBytes(ranks: number, quick: boolean): number {
  const runs = meetingModels(ranks, quick).map(({ model, strategy }) => prepareRun(stepSpec(model, strategy)));
  return Math.max(...runs.flatMap(({ arenaBytes }) => arenaBytes));
}

export interface MeetingMeasurements {
  readonly points: readonly CollectivePoint[];
  /** What all ranks together lost of their own ops' time. */
  readonly lost: LostTime;
}

const warmSteps = 3;

/** Called by all ranks alike; the points are right on rank 0. @param memory an empty arena of meetingBytes(), for each run anew. */
export function measureMeetings(
  transport: StreamTransport,
  memory: () => ArenaMats,
  quick: boolean,
): MeetingMeasurements {
  const samples = new Samples();
  const own = new Samples();
  const numSteps = quick ? 3 : 12;
  for (const [i, { model, strategy }] of meetingModels(transport.numRanks, quick).entries()) {
    const resolved = stepSpec(model, strategy);
    const { program } = prepareRun(resolved);
    const queries = stepQueries(program, resolved);
    const groups = communicators(transport);
    const { step } = stepEngine(program, { link: transport, groups, memory: memory() });
    if (i === 0) warmUp(step, quick ? quickWarmUpSec : warmUpSec, transport, groups);
    const meetings: RankSpans[] = [];
    const asked: (OpQuery | undefined)[][] = [];
    for (let i = 0; i < warmSteps + numSteps; i++) {
      const record = step();
      if (i < warmSteps) continue;
      const { ran, spans } = record;
      own.addStep(timesOf(queries, record).filter(({ query }) => query.kind !== "collective"));
      meetings.push(meetingsOf(spans));
      asked.push(ran.filter(meets).map((op) => queries.get(op)?.query));
    }
    const all = gatherToRoot(transport, meetings);
    if (all === null) continue;
    for (const [i, ofStep] of asked.entries())
      addTransfers(
        samples,
        program.mesh,
        all.map((ofRank) => ofRank[i]!),
        ofStep,
      );
  }
  const lost = gatherToRoot(transport, own.lost.time());
  return {
    points: samples.all().flatMap(({ query, stepSec }) => pointOf(query, median(stepSec))),
    lost: lostTogether(lost ?? []),
  };
}

function meets(op: Op): boolean {
  return "axis" in op;
}

/** @param all meetings of one step, by rank. @param queries what each meeting of rank 0 asks. */
function addTransfers(
  samples: Samples,
  mesh: Mesh,
  all: readonly RankSpans[],
  queries: readonly (OpQuery | undefined)[],
): void {
  const [spans] = all;
  const [waits] = waitsOf(mesh, all);
  samples.addStep(
    queries.flatMap((query, i) =>
      query === undefined ? [] : [{ query, sec: spans!.endSec[i]! - spans!.startSec[i]! - waits![i]! }],
    ),
  );
}

function pointOf(query: OpQuery, durationSec: number): CollectivePoint[] {
  if (query.kind !== "collective") return [];
  const { op, sizeBytes, spans }: CollectiveQuery = query;
  const ranks = spans.at(-1) ?? 1;
  return ranks < 2 || sizeBytes < 1 ? [] : [{ op, ranks, ranksPerNode: ranks, sizeBytes, durationSec }];
}
