// What each rank of a program keeps between steps, as fragments of global tensors, and which rank writes which fragment: a pure function of the program, so
// that all ranks agree without talking. One tensor per parameter and role: `weight` (the master copy where the program has one, else the parameter itself)
// and `state0`, `state1`: the optimizer's moments (Adafactor's of a matrix: those of its rows and columns). Working copies are not kept: they are the weight, rounded.
//
// Copies (data-parallel replicas, stages of bidirectional schedules, tied tables) are written once; the writers are spread so that all ranks write about
// the same number of bytes.

import {
  assert,
  coordinatesOf,
  meshSize,
  type ParamSlice,
  type Program,
  parameterUpdates,
  paramName,
} from "@meshwright/core";
import { shardOffset } from "../../reference/slices.ts";
import { cutRuns, numElements, type Run, sliceRuns } from "./runs.ts";

export type Role = "weight" | `state${number}`;

export interface HeldFragment {
  /** Global name of the parameter. */
  readonly name: string;
  readonly role: Role;
  /** Which of the rank's shards: `parameter`, `master` or the role of a state. */
  readonly shardRole: "parameter" | "master" | `state${number}`;
  readonly shape: readonly number[];
  /** What of the global tensor the rank holds. */
  readonly slice: ParamSlice;
  /** Where in that it starts. */
  readonly offset: number;
  readonly runs: readonly Run[];
}

/** Dims of the global tensor. */
export function globalShape(slice: ParamSlice): number[] {
  const rows = slice.segments.reduce((sum, segment) => sum + segment.rows, 0);
  const dims = slice.columns > 1 ? [rows, slice.columns] : [rows];
  return slice.experts === null ? dims : [slice.experts, ...dims];
}

export function heldFragments(program: Program, rank: number): HeldFragment[] {
  const { mesh, schedule, stages, blocks } = program;
  const held = new Map<string, HeldFragment>();
  for (const stage of schedule.stageOf[coordinatesOf(mesh, rank).pp]!) {
    for (const use of stages[stage]!.uses) {
      const block = blocks[use.block]!;
      const { buffers } = block;
      for (const { master, states } of parameterUpdates(block)) {
        const decl = buffers[master]!;
        const add = (id: number, role: Role, shardRole: HeldFragment["shardRole"]) => {
          const slice = buffers[id]!.param;
          assert(slice !== undefined, `${buffers[id]!.name} names its parameter`);
          const whole = sliceRuns(slice, mesh, rank);
          const sliceLength = numElements(whole);
          const length = buffers[id]!.shape.reduce((product, n) => product * n, 1);
          const offset = shardOffset(slice, mesh, rank, length, sliceLength);
          const runs = cutRuns(whole, offset, length);
          const name = paramName(slice.name, use.label);
          const fragment = { name, role, shardRole, shape: globalShape(slice), slice, offset, runs };
          if (runs.length > 0) held.set(`${name} ${role}`, fragment);
        };
        add(master, "weight", decl.kind === "parameter" ? "parameter" : "master");
        for (const [n, state] of states.entries()) add(state, `state${n}`, `state${n}`);
      }
    }
  }
  return [...held.values()].sort((a, b) => compareText(a.name, b.name) || compareText(a.role, b.role));
}

/** Fragments that each rank writes. */
export function writtenFragments(program: Program): HeldFragment[][] {
  const numRanks = meshSize(program.mesh);
  const holders = new Map<string, { readonly fragment: HeldFragment; readonly ranks: number[] }>();
  for (let rank = 0; rank < numRanks; rank++) {
    for (const fragment of heldFragments(program, rank)) {
      const key = `${fragment.name} ${fragment.role} ${JSON.stringify(fragment.runs)}`;
      const entry = holders.get(key);
      if (entry === undefined) holders.set(key, { fragment, ranks: [rank] });
      else entry.ranks.push(rank);
    }
  }
  const written: HeldFragment[][] = Array.from({ length: numRanks }, () => []);
  const load = new Float64Array(numRanks);
  // Large ones first, so that small ones even out what is left.
  const order = [...holders.values()].sort((a, b) => numElements(b.fragment.runs) - numElements(a.fragment.runs));
  for (const { fragment, ranks } of order) {
    const writer = ranks.reduce((best, rank) => (load[rank]! < load[best]! ? rank : best));
    load[writer]! += numElements(fragment.runs);
    written[writer]!.push(fragment);
  }
  return written;
}

/** Elements of all tensors, by `name role`, with their shape: what a checkpoint of the program must hold. */
export function globalTensors(program: Program): Map<string, readonly number[]> {
  const tensors = new Map<string, readonly number[]>();
  for (let rank = 0; rank < meshSize(program.mesh); rank++)
    for (const { name, role, shape } of heldFragments(program, rank)) tensors.set(`${name} ${role}`, shape);
  return tensors;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
