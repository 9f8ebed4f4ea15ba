// Where a rank's tensors live, and how many bytes it holds in the formats the program declares. A read of a buffer that was never written, or was
// freed, is an assertion; in proofs fresh memory holds NaN, so even a window that nobody wrote shows up in the numbers.

import {
  assert,
  axisSize,
  type Block,
  type BufferDecl,
  type BufferId,
  bufferBytes,
  coordinateAlong,
  type MemoryTier,
  type Mesh,
  paramName,
} from "@meshwright/core";
import { columnsOf, copyInto, type Mat, rowsOf } from "./kernels/mat.ts";
import { heapMemory, type MatMemory } from "./matMemory.ts";

/** Rows and columns of a buffer as a matrix. */
export function matrixShape(decl: BufferDecl): { rows: number; cols: number } {
  const cols = decl.shape.at(-1) ?? 1;
  return { rows: decl.shape.slice(0, -1).reduce((product, n) => product * n, 1), cols };
}

/** Shard views of persistent buffers may reach past the end by less than the ranks of an axis. */
const slackElements = 64;

function fill(m: Mat, value: number, slack: number): Mat {
  m.data.fill(value, m.offset, m.offset + m.rows * m.cols);
  if (slack > 0) m.data.fill(0, m.offset + m.rows * m.cols, m.offset + m.rows * m.cols + slack);
  return m;
}

/** One use of a block on one chunk of one pipeline rank; micro buffers also belong to a micro-batch. */
export interface Place {
  readonly block: Block;
  readonly label: string;
  /** `chunk.use`, unique on a rank. */
  readonly key: string;
  readonly microBatch: number;
}

/** In the place of a matrix that was handed over. */
const handedOver: Mat = { data: new Float32Array(0), rows: 0, cols: 0, stride: 0, offset: 0 };

/** Buffers of one use of a block. */
interface UseBuffers {
  readonly persistent: Map<BufferId, Mat>;
  readonly gathered: Map<BufferId, Mat>;
  /** Whole gradients of a run of micro-batches. */
  readonly run: Map<BufferId, Mat>;
  readonly micro: Map<number, MicroBuffers>;
}

/** Those of one micro-batch. */
interface MicroBuffers {
  readonly mats: Map<BufferId, Mat>;
  heldBytes: number;
}

export class RankStore {
  readonly rank: number;
  private readonly mesh: Mesh;
  private readonly memory: MatMemory;
  private readonly poison: boolean;
  private readonly sharedOwners = new Map<string, Mat>();
  private readonly uses = new Map<string, UseBuffers>();
  /** The place that was asked for last, and where its buffers are: ops of one place follow each other. */
  private lastPlace: Place | null = null;
  private lastUse: UseBuffers | null = null;
  private lastMicro: MicroBuffers | null = null;
  readonly heldBytes: Record<MemoryTier, number> = { hbm: 0, host: 0, nvme: 0 };
  private readonly persistentBytes: Record<MemoryTier, number> = { hbm: 0, host: 0, nvme: 0 };
  /** Most bytes held in HBM, and in the host's memory. */
  peakBytes = 0;
  hostPeakBytes = 0;

  /** @param options.poison fresh memory holds NaN: proofs want it, training need not pay for it. */
  constructor(
    mesh: Mesh,
    rank: number,
    options: { readonly memory: MatMemory; readonly poison: boolean } = { memory: heapMemory, poison: true },
  ) {
    this.mesh = mesh;
    this.rank = rank;
    this.memory = options.memory;
    this.poison = options.poison;
  }

  private charge(decl: BufferDecl, sign: 1 | -1): void {
    this.heldBytes[decl.tier] += sign * bufferBytes(decl);
    this.peakBytes = Math.max(this.peakBytes, this.heldBytes.hbm);
    this.hostPeakBytes = Math.max(this.hostPeakBytes, this.heldBytes.host);
  }

  /** Peaks count from here. */
  beginPeaks(): void {
    this.peakBytes = this.heldBytes.hbm;
    this.hostPeakBytes = this.heldBytes.host;
  }

  // Persistent buffers.

  addPersistent(place: Place, id: BufferId): Mat {
    const decl = place.block.buffers[id]!;
    const { rows, cols } = matrixShape(decl);
    const m = fill(this.memory.allocate(rows, cols, slackElements), 0, slackElements);
    this.useOf(place).persistent.set(id, m);
    const owner = ownerKey(place, decl);
    if (owner !== null && !this.sharedOwners.has(owner)) this.sharedOwners.set(owner, m);
    this.charge(decl, 1);
    this.persistentBytes[decl.tier] += bufferBytes(decl);
    return m;
  }

  persistentOrNew(place: Place, id: BufferId): Mat {
    return this.useOf(place).persistent.get(id) ?? this.addPersistent(place, id);
  }

  /** A declaration that stands for another block use's buffer. */
  addShared(place: Place, id: BufferId): void {
    const owner = ownerKey(place, place.block.buffers[id]!);
    const m = owner === null ? undefined : this.sharedOwners.get(owner);
    assert(m !== undefined, `rank ${this.rank} holds an owner of shared ${place.block.buffers[id]!.name}`);
    this.useOf(place).persistent.set(id, m);
  }

  // Gathered and micro buffers.

  isLive(place: Place, id: BufferId): boolean {
    return this.mapOf(place, id).has(id);
  }

  /** Creates a transient buffer, zero or undefined; `rows` overrides the declared number where routing decides it. */
  create(place: Place, id: BufferId, content: "zero" | "undefined", rows?: number): Mat {
    const shape = matrixShape(place.block.buffers[id]!);
    const m = this.memory.allocate(rows ?? shape.rows, shape.cols, 0);
    if (content === "zero") fill(m, 0, 0);
    else if (this.poison) fill(m, Number.NaN, 0);
    this.put(place, id, m);
    return m;
  }

  /** A contiguous copy that belongs to no buffer yet. */
  copyOf(m: Mat): Mat {
    const copy = this.memory.allocate(m.rows, m.cols, 0);
    copyInto(m, copy);
    return copy;
  }

  /** Memory for a tensor that belongs to no buffer yet, and its end if it never will. */
  loose(rows: number, cols: number): Mat {
    return this.memory.allocate(rows, cols, 0);
  }

  releaseLoose(m: Mat): void {
    this.memory.release(m);
  }

  /** Takes a matrix that was handed over. */
  put(place: Place, id: BufferId, m: Mat): void {
    const decl = place.block.buffers[id]!;
    assert(decl.scope !== "persistent" && decl.view === undefined, `${decl.name} is transient and whole`);
    assert(
      !this.isLive(place, id),
      `${place.block.name}.${decl.name} of micro-batch ${place.microBatch} is not yet live`,
    );
    this.mapOf(place, id).set(id, m);
    this.charge(decl, 1);
    if (decl.scope === "micro") this.microOf(place).heldBytes += bufferBytes(decl);
  }

  /** The matrix of a transient buffer that nobody uses again before it is freed: it belongs to the caller from here. */
  handOver(place: Place, id: BufferId): Mat {
    const map = this.mapOf(place, id);
    const m = map.get(id);
    assert(m !== undefined && m !== handedOver, `${place.block.buffers[id]!.name} is live when handed over`);
    map.set(id, handedOver);
    return m;
  }

  free(place: Place, id: BufferId): void {
    const decl = place.block.buffers[id]!;
    const map = this.mapOf(place, id);
    const m = map.get(id);
    assert(m !== undefined, `${place.block.name}.${decl.name} of micro-batch ${place.microBatch} is live when freed`);
    map.delete(id);
    if (m !== handedOver) this.memory.release(m);
    this.charge(decl, -1);
    if (decl.scope === "micro") this.microOf(place).heldBytes -= bufferBytes(decl);
  }

  /** Bytes this micro-batch holds in the block use. */
  microBytes(place: Place): number {
    return this.microOf(place).heldBytes;
  }

  /** Frees what a micro-batch holds in a block use: after a forward pass whose backward never comes. */
  dropMicro(place: Place): void {
    for (const id of [...this.microOf(place).mats.keys()]) this.free(place, id);
  }

  /** Frees everything that does not outlive a step: after a step that is given up. */
  dropTransient(): void {
    for (const { gathered, run, micro } of this.uses.values()) {
      for (const map of [gathered, run, ...[...micro.values()].map(({ mats }) => mats)]) {
        for (const m of map.values()) if (m !== handedOver) this.memory.release(m);
        map.clear();
      }
      for (const buffers of micro.values()) buffers.heldBytes = 0;
    }
    this.heldBytes.hbm = this.persistentBytes.hbm;
    this.heldBytes.host = this.persistentBytes.host;
    this.heldBytes.nvme = this.persistentBytes.nvme;
  }

  /** Transient buffers still held anywhere, by block key: must be empty at the end of a step. */
  leftovers(): string[] {
    const names: string[] = [];
    for (const [key, { gathered, run, micro }] of this.uses) {
      for (const id of [...gathered.keys(), ...run.keys()]) names.push(`${key} buffer ${id}`);
      for (const [microBatch, { mats }] of micro)
        for (const id of mats.keys()) names.push(`${key} ${microBatch} buffer ${id}`);
    }
    return names;
  }

  private mapOf(place: Place, id: BufferId): Map<BufferId, Mat> {
    const { scope } = place.block.buffers[id]!;
    if (scope === "micro") return this.microOf(place).mats;
    return scope === "gathered" ? this.useOf(place).gathered : this.useOf(place).run;
  }

  private useOf(place: Place): UseBuffers {
    if (place !== this.lastPlace) this.turnTo(place);
    return this.lastUse!; // turnTo() set it
  }

  private microOf(place: Place): MicroBuffers {
    if (place !== this.lastPlace) this.turnTo(place);
    return this.lastMicro!; // turnTo() set it
  }

  private turnTo(place: Place): void {
    let use = this.uses.get(place.key);
    if (use === undefined) {
      use = { persistent: new Map(), gathered: new Map(), run: new Map(), micro: new Map() };
      this.uses.set(place.key, use);
    }
    let micro = use.micro.get(place.microBatch);
    if (micro === undefined) {
      micro = { mats: new Map(), heldBytes: 0 };
      use.micro.set(place.microBatch, micro);
    }
    this.lastPlace = place;
    this.lastUse = use;
    this.lastMicro = micro;
  }

  /** The buffer as a matrix, views resolved. */
  get(place: Place, id: BufferId): Mat {
    const decl = place.block.buffers[id]!;
    if (decl.view !== undefined) {
      const base = this.get(place, decl.view.of);
      const { rows, cols } = matrixShape(decl);
      switch (decl.view.kind) {
        case "columns":
          return columnsOf(base, decl.view.from, cols);
        case "rows":
          // A vector's rows are its elements.
          return decl.shape.length === 1 ? columnsOf(base, decl.view.from, cols) : rowsOf(base, decl.view.from, rows);
        case "shard": {
          const length = decl.shape.reduce((product, n) => product * n, 1);
          const size = axisSize(this.mesh, decl.view.axis);
          assert(
            length === Math.ceil((base.rows * base.cols) / size),
            `${decl.name} is one of ${size} shards of ${base.rows * base.cols}`,
          );
          return {
            data: base.data,
            rows: 1,
            cols: length,
            stride: length,
            offset: base.offset + coordinateAlong(this.mesh, this.rank, decl.view.axis) * length,
          };
        }
      }
    }
    const m = decl.scope === "persistent" ? this.useOf(place).persistent.get(id) : this.mapOf(place, id).get(id);
    assert(
      m !== undefined,
      `${place.block.name}.${decl.name} (${decl.scope}) of micro-batch ${place.microBatch} is live on rank ${this.rank} when used`,
    );
    return m;
  }
}

function ownerKey(place: Place, decl: BufferDecl): string | null {
  return decl.param === undefined
    ? null
    : `${paramName(decl.param.name, place.label)} ${decl.kind} ${paramName(decl.name, place.label)}`;
}
