// When each action and op of a rank began and ended, and what was live then: six numbers a span, in growing typed arrays, so that recording costs well under a microsecond.
// Times are seconds since an instant that all ranks of a host share.

import type { Block, Op } from "@meshwright/core";
import { opName, opTimeKind } from "@meshwright/core/cost";

/** Spans of one step of one rank; `name` and `stream` index `names` and `streams`. Ops lie within actions; they never overlap in part. */
export interface RankSpans {
  readonly rank: number;
  readonly names: readonly string[];
  readonly categories: readonly string[];
  readonly count: number;
  readonly name: Int32Array;
  readonly category: Int32Array;
  /** 0: actions. 1: ops. */
  readonly level: Uint8Array;
  readonly startSec: Float64Array;
  readonly endSec: Float64Array;
  /** Bytes in HBM at the end of the span. */
  readonly heldBytes: Float64Array;
}

/** Seconds of a clock that all threads and processes of a host read alike. */
export function nowSec(): number {
  return (performance.timeOrigin + performance.now()) / 1000;
}

export class SpanRecorder {
  private readonly rank: number;
  private readonly known = new WeakMap<Block, WeakMap<Op, readonly [number, number]>>();
  private readonly names: string[] = [];
  private readonly nameIndex = new Map<string, number>();
  private readonly categories: string[] = [];
  private name = new Int32Array(1024);
  private category = new Int32Array(1024);
  private level = new Uint8Array(1024);
  private startSec = new Float64Array(1024);
  private endSec = new Float64Array(1024);
  private heldBytes = new Float64Array(1024);
  private count = 0;

  constructor(rank: number) {
    this.rank = rank;
  }

  /** Forgets the spans of earlier steps. */
  begin(): void {
    this.count = 0;
  }

  addOp(op: Op, block: Block, startSec: number, endSec: number, heldBytes: number): void {
    const ops = this.known.get(block) ?? new WeakMap<Op, readonly [number, number]>();
    this.known.set(block, ops);
    const known = ops.get(op) ?? [this.indexOf(opName(op, block)), this.categoryOf(opTimeKind(op, block))];
    ops.set(op, known);
    this.add(known[0], known[1], 1, startSec, endSec, heldBytes);
  }

  addAction(name: string, category: string, startSec: number, endSec: number, heldBytes: number): void {
    this.add(this.indexOf(name), this.categoryOf(category), 0, startSec, endSec, heldBytes);
  }

  private add(
    name: number,
    category: number,
    level: number,
    startSec: number,
    endSec: number,
    heldBytes: number,
  ): void {
    if (this.count === this.name.length) this.grow();
    this.name[this.count] = name;
    this.category[this.count] = category;
    this.level[this.count] = level;
    this.startSec[this.count] = startSec;
    this.endSec[this.count] = endSec;
    this.heldBytes[this.count] = heldBytes;
    this.count++;
  }

  private grow(): void {
    const size = this.count * 2;
    const grown = <T extends Int32Array | Uint8Array | Float64Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.name = grown(new Int32Array(size), this.name);
    this.category = grown(new Int32Array(size), this.category);
    this.level = grown(new Uint8Array(size), this.level);
    this.startSec = grown(new Float64Array(size), this.startSec);
    this.endSec = grown(new Float64Array(size), this.endSec);
    this.heldBytes = grown(new Float64Array(size), this.heldBytes);
  }

  private indexOf(name: string): number {
    const known = this.nameIndex.get(name);
    if (known !== undefined) return known;
    this.nameIndex.set(name, this.names.length);
    return this.names.push(name) - 1;
  }

  private categoryOf(category: string): number {
    const at = this.categories.indexOf(category);
    return at >= 0 ? at : this.categories.push(category) - 1;
  }

  /** A copy of what the step recorded. */
  spans(): RankSpans {
    const { count } = this;
    return {
      rank: this.rank,
      names: [...this.names],
      categories: [...this.categories],
      count,
      name: this.name.slice(0, count),
      category: this.category.slice(0, count),
      level: this.level.slice(0, count),
      startSec: this.startSec.slice(0, count),
      endSec: this.endSec.slice(0, count),
      heldBytes: this.heldBytes.slice(0, count),
    };
  }
}
