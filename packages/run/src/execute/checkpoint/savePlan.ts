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
  private readonly views: ReadonlyMap<string, ShardView>;

  constructor(options: SavePlanOptions) {
    const { program, rank, shards } = options;
    this.options = options;
    const written = writtenFragments(program);
    this.numRanks = written.length;
    this.mine = written[rank]!;
    this.tensors = recordsOf(written);
    this.views = new Map(shards.map((shard) => [`${shard.name} ${shard.role} ${shard.offset}`, shard]));
  }

  request(facts: CheckpointFacts): SaveRequest {
    const { root, rank, keep } = this.options;
    const fragments = this.mine.map((fragment, i) => this.source(fragment, tensorName(i)));
    const publish = rank === 0 ? { numRanks: this.numRanks, facts, tensors: this.tensors, keep } : null;
    return { root, step: facts.training.step, rank, fragments, publish };
  }

  private source(fragment: HeldFragment, tensor: string): FragmentSource {
    const { name, shardRole, offset, runs } = fragment;
    const view = this.views.get(`${name} ${shardRole} ${offset}`);
    assert(view !== undefined, `rank ${this.options.rank} holds ${name} ${shardRole} from ${offset}`);
    const length = numElements(runs);
    assert(length <= view.values.length, `${name} has ${length} elements of ${view.values.length}`);
    const { buffer, byteOffset } = view.values;
    if (buffer instanceof SharedArrayBuffer) return { tensor, buffer, offsetBytes: byteOffset, numElements: length };
    const copy = new SharedArrayBuffer(length * 4);
    new Float32Array(copy).set(view.values.subarray(0, length));
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
