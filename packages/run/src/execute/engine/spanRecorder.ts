// When each action and op of a rank began and ended, and what was live then: seven numbers a span, in growing typed arrays, so that recording costs well under a microsecond.
// Times are seconds since an instant that all ranks of a host share.

import type { Axis, Block, Op } from "@meshwright/core";
import { opName, opTimeKind } from "@meshwright/core/cost";

/** Spans of one step of one rank; `name` and `stream` index `names` and `streams`. Ops lie within actions; they never overlap in part. */
export interface RankSpans {
  readonly rank: number;
  readonly names: readonly string[];
  readonly categories: readonly string[];
  readonly count: number;
  readonly name: Int32Array;
  readonly category: Int32Array;
  /** 0: actions. 1: ops, tensors received from other stages, and the sum of the ranks' losses. */
  readonly level: Uint8Array;
  /** Of ops in which ranks meet: the axis of their group, an index into `axes`; -1 for any other span. */
  readonly axis: Int8Array;
  readonly axes: readonly Axis[];
  readonly startSec: Float64Array;
  readonly endSec: Float64Array;
  /** Bytes in HBM at the end of the span. */
  readonly heldBytes: Float64Array;
}

/** Seconds of a clock that all threads and processes of a host read alike. */
export function nowSec(): number {
  return (performance.timeOrigin + performance.now()) / 1000;
}

/** What the spans of an op share. */
interface OpFacts {
  readonly name: number;
  readonly category: number;
  readonly axis: number;
}

export class SpanRecorder {
  private readonly rank: number;
  private readonly known = new WeakMap<Block, WeakMap<Op, OpFacts>>();
  private readonly axes: Axis[] = [];
  private readonly names: string[] = [];
  private readonly nameIndex = new Map<string, number>();
  private readonly categories: string[] = [];
  private name = new Int32Array(1024);
  private category = new Int32Array(1024);
  private level = new Uint8Array(1024);
  private axis = new Int8Array(1024);
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
    const ops = this.known.get(block) ?? new WeakMap<Op, OpFacts>();
    this.known.set(block, ops);
    const known = ops.get(op) ?? {
      name: this.indexOf(opName(op, block)),
      category: this.categoryOf(opTimeKind(op, block)),
      axis: "axis" in op ? this.axisOf(op.axis) : -1,
    };
    ops.set(op, known);
    this.add(known.name, known.category, 1, known.axis, startSec, endSec, heldBytes);
  }

  /** A tensor that another stage sent, from when the rank began to wait for it. */
  addReceive(fromPipelineRank: number, startSec: number, endSec: number, heldBytes: number): void {
    const name = this.indexOf(`receive from pipeline rank ${fromPipelineRank}`);
    this.add(name, this.categoryOf("pp"), 1, -1, startSec, endSec, heldBytes);
  }

  /** A meeting of all ranks that is no op of the program. */
  addWait(name: string, startSec: number, endSec: number, heldBytes: number): void {
    this.add(this.indexOf(name), this.categoryOf("wait"), 1, -1, startSec, endSec, heldBytes);
  }

  addAction(name: string, category: string, startSec: number, endSec: number, heldBytes: number): void {
    this.add(this.indexOf(name), this.categoryOf(category), 0, -1, startSec, endSec, heldBytes);
  }

  private add(
    name: number,
    category: number,
    level: number,
    axis: number,
    startSec: number,
    endSec: number,
    heldBytes: number,
  ): void {
    if (this.count === this.name.length) this.grow();
    this.name[this.count] = name;
    this.category[this.count] = category;
    this.level[this.count] = level;
    this.axis[this.count] = axis;
    this.startSec[this.count] = startSec;
    this.endSec[this.count] = endSec;
    this.heldBytes[this.count] = heldBytes;
    this.count++;
  }

  private grow(): void {
    const size = this.count * 2;
    const grown = <T extends Int32Array | Int8Array | Uint8Array | Float64Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.name = grown(new Int32Array(size), this.name);
    this.category = grown(new Int32Array(size), this.category);
    this.level = grown(new Uint8Array(size), this.level);
    this.axis = grown(new Int8Array(size), this.axis);
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

  private axisOf(axis: Axis): number {
    const at = this.axes.indexOf(axis);
    return at >= 0 ? at : this.axes.push(axis) - 1;
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
      axis: this.axis.slice(0, count),
      axes: [...this.axes],
      startSec: this.startSec.slice(0, count),
      endSec: this.endSec.slice(0, count),
      heldBytes: this.heldBytes.slice(0, count),
    };
  }
}
