// Which of its values a rank hands to its writer for a checkpoint, and what the manifest says of everybody's: worked out once, at the start of a run.

import { assert, type Program } from "@meshwright/core";
import { type HeldFragment, writtenFragments } from "./layout.ts";
import type { CheckpointFacts, FragmentRecord, TensorRecord } from "./manifest.ts";
import { numElements } from "./runs.ts";
import { type FragmentSource, rankFile, type SaveRequest } from "./writerProtocol.ts";

/** What a rank holds, as the rank engine names it. */
export interface ShardView {
  readonly name: string;
  readonly role: "parameter" | "master" | `state${number}`;
  /** Where in the rank's slice it starts. */
  readonly offset: number;
  /** May be longer than what the slice has left: padding. */
  readonly values: Float32Array;
}

export interface SavePlanOptions {
  /** Folder of the run's checkpoints. */
  readonly root: string;
  readonly program: Program;
  readonly rank: number;
  readonly shards: readonly ShardView[];
  /** Complete checkpoints that stay; null: all. */
  readonly keep: number | null;
}

export class SavePlan {
  private readonly options: SavePlanOptions;
  private readonly mine: readonly HeldFragment[];
  private readonly tensors: Readonly<Record<string, TensorRecord>>;
  private readonly numRanks: number;
  private readonly views: ReadonlyMap<string, readonly ShardView[]>;

  constructor(options: SavePlanOptions) {
    const { program, rank, shards } = options;
    this.options = options;
    const written = writtenFragments(program);
    this.numRanks = written.length;
    this.mine = written[rank]!;
    this.tensors = recordsOf(written);
    const views = new Map<string, ShardView[]>();
    for (const shard of shards) {
      const key = `${shard.name} ${shard.role}`;
      views.set(key, [...(views.get(key) ?? []), shard]);
    }
    this.views = views;
  }

  request(facts: CheckpointFacts): SaveRequest {
    const { root, rank, keep } = this.options;
    const fragments = this.mine.map((fragment, i) => this.source(fragment, tensorName(i)));
    const publish = rank === 0 ? { numRanks: this.numRanks, facts, tensors: this.tensors, keep } : null;
    return { root, step: facts.training.step, rank, fragments, publish };
  }

  private source(fragment: HeldFragment, tensor: string): FragmentSource {
    const { name, shardRole, offset, runs } = fragment;
    const length = numElements(runs);
    // What the optimizer updates may be a part of what the rank holds: its share of a parameter that is whole everywhere.
    const view = this.views
      .get(`${name} ${shardRole}`)
      ?.find((each) => each.offset <= offset && offset + length <= each.offset + each.values.length);
    assert(
      view !== undefined,
      `rank ${this.options.rank} holds ${length} elements of ${name} ${shardRole} from ${offset}`,
    );
    const values = view.values.subarray(offset - view.offset, offset - view.offset + length);
    const { buffer, byteOffset } = values;
    if (buffer instanceof SharedArrayBuffer) return { tensor, buffer, offsetBytes: byteOffset, numElements: length };
    const copy = new SharedArrayBuffer(length * 4);
    new Float32Array(copy).set(values);
    return { tensor, buffer: copy, offsetBytes: 0, numElements: length };
  }
}

/** Fragments lie in a rank's file under their number; the manifest says what they are. */
function tensorName(index: number): string {
  return `fragment.${index}`;
}

function recordsOf(written: readonly (readonly HeldFragment[])[]): Record<string, TensorRecord> {
  const records: Record<string, { shape: readonly number[]; fragments: FragmentRecord[] }> = {};
  for (const [rank, fragments] of written.entries()) {
    for (const [i, { name, role, shape, runs }] of fragments.entries()) {
      const key = `${name} ${role}`;
      records[key] ??= { shape, fragments: [] };
      records[key].fragments.push({ file: rankFile(rank), tensor: tensorName(i), runs, sha256: "" });
    }
  }
  return Object.fromEntries(Object.entries(records).sort(([a], [b]) => (a < b ? -1 : 1)));
}
