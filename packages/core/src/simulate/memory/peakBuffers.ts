// Which buffers fill a rank at its peak, one by one: name, shape, owner, and from which op to which each lives. The sums by kind are those of
// rankMemory.ts (peakBuffers.test.ts), because both count the lives of liveness.ts in the same order: stageMemory.ts says what the running action
// holds, stash.ts what the other micro-batches hold.

import { opName } from "../../cost/opNames.ts";
import { chunksInRuns } from "../../parallel/gradientRuns.ts";
import { actionOps, blockLives, bufferBytes, type Life } from "../../parallel/liveness.ts";
import type { Block, BufferDecl, BufferKind, MemoryTier, Program } from "../../parallel/program.ts";
import { describeAction } from "../../parallel/schedules/index.ts";
import type { DType } from "../../units/dtype.ts";
import type { PipelineTimeline } from "../pipeline/index.ts";
import type { ProgramMemory } from "./rankMemory.ts";

/**
 * persistent: always there. stash: kept for the backward of micro-batches in flight. running: of the action that runs. gathered: parameters made from
 * shards. update: made by the optimizer. framework: buckets, copies and placeholders beside the program's own tensors.
 */
export type BufferState = "persistent" | "stash" | "running" | "gathered" | "update" | "framework";

/** Equal buffers together. */
export interface PeakBuffer {
  readonly name: string;
  readonly state: BufferState;
  readonly kind: BufferKind;
  readonly tier: MemoryTier;
  /** Absent where the entry stands for a sum of unlike tensors. */
  readonly shape?: readonly number[];
  readonly dtype?: DType;
  /** How many, and bytes of all of them. */
  readonly count: number;
  readonly sizeBytes: number;
  /** Block uses that own them: `layers.0-7`. */
  readonly owner: string;
  /** First and last op of its life (`forward: matmul attention.qkv`); absent for what lives through steps. */
  readonly from?: string;
  readonly to?: string;
}

export interface RankBuffers {
  /** What runs at the peak: `BW7`, `F3 chunk 1`... or `update`. */
  readonly action: string;
  /** Largest first. */
  readonly buffers: readonly PeakBuffer[];
}

interface BlockState {
  readonly block: Block;
  readonly label: string;
  /** On the device. */
  readonly lives: readonly Life[];
  readonly bounds: readonly [number, number, number, number];
  readonly held: Float64Array;
}

export function peakBuffers(
  program: Program,
  timeline: PipelineTimeline,
  memory: ProgramMemory,
  rank: number,
): RankBuffers {
  const { graph, schedule } = timeline;
  const list = new BufferList(program);
  const stages = schedule.stageOf[rank]!.map((stage) => blockStates(program, stage));
  for (const state of stages.flat()) list.addPersistent(state, "persistent");
  for (const chunk of chunksInRuns(program, rank)) for (const state of stages[chunk]!) list.addPersistent(state, "run");
  const held = memory.held(rank);
  list.addSum(
    "buckets, copies and placeholders",
    "framework",
    held.persistent.workspace - list.persistentWorkspaceBytes,
  );
  const peak = memory.peakAction[rank]!;
  if (peak < 0) {
    list.addSum("tensors of the update", "update", held.updateBytes);
    return { action: "update", buffers: list.sorted() };
  }
  list.addSum("gathered parameters", "gathered", held.gatheredBytes);
  const first = graph.offsets[rank]!;
  const width = schedule.overlapped?.[rank]?.[peak - first] === 1 ? 2 : 1;
  const running = Array.from(graph.codes.subarray(peak, peak + width));
  const keptBytes = stages.map((_, chunk) => memory.keptBytesOf(schedule.stageOf[rank]![chunk]!));
  // Micro-batches of each chunk between F and the backward that frees their stash, and between B and W.
  const afterF = stages.map(() => 0);
  const afterB = stages.map(() => 0);
  const count = (code: number) => {
    const chunk = (code >> 2) & 255;
    const kind = code & 3;
    if (kind === 0) afterF[chunk]!++;
    else if (kind === 2) afterB[chunk]!--;
    else afterF[chunk]!--;
    if (kind === 1) afterB[chunk]!++;
  };
  for (let a = first; a < peak; a++) count(graph.codes[a]!);
  // What a running backward found there counts as its own.
  for (const code of running) {
    const chunk = (code >> 2) & 255;
    const kind = code & 3;
    if (kind === 1 || kind === 3) afterF[chunk]!--;
    else if (kind === 2) afterB[chunk]!--;
  }
  stages.forEach((blocks, chunk) => {
    for (const state of blocks) {
      list.addLives(state, crossing(state, state.bounds[1]), "stash", afterF[chunk]!);
      list.addLives(state, crossing(state, state.bounds[2]), "stash", afterB[chunk]!);
    }
    list.addKept(keptBytes[chunk]!, afterF[chunk]!);
  });
  for (const code of running) {
    const chunk = (code >> 2) & 255;
    addRunning(list, stages[chunk]!, code & 3);
    if ((code & 3) === 1 || (code & 3) === 3) list.addKept(keptBytes[chunk]!, 1);
  }
  return {
    action: running.map((code) => describeAction(code, schedule.numChunks)).join(" & "),
    buffers: list.sorted(),
  };
}

/** As stageMemory.ts: the block at whose fullest op the stage holds most, what blocks before it keep, and what blocks behind it keep for W. */
function addRunning(list: BufferList, blocks: readonly BlockState[], kind: number): void {
  const sum = (lives: readonly Life[]) => lives.reduce((bytes, life) => bytes + life.sizeBytes, 0);
  const phases = kind === 0 ? [0] : kind === 1 ? [1] : kind === 2 ? [2] : [1, 2];
  const border = kind === 2 ? 2 : 1;
  const before = (state: BlockState) => crossing(state, state.bounds[border as 1 | 2]);
  const behind = (state: BlockState) => (kind === 1 ? crossing(state, state.bounds[2]) : []);
  let best = { bytes: -1, at: 0, lives: [] as readonly Life[] };
  // In the order in which the action goes through its blocks, so that ties fall alike.
  const order = blocks.map((_, i) => (kind === 0 ? i : blocks.length - 1 - i));
  for (const j of order) {
    const others =
      blocks.slice(0, j).reduce((bytes, state) => bytes + sum(before(state)), 0) +
      blocks.slice(j + 1).reduce((bytes, state) => bytes + sum(behind(state)), 0);
    for (const phase of phases) {
      const lives = fullest(blocks[j]!, phase);
      if (others + sum(lives) > best.bytes) best = { bytes: others + sum(lives), at: j, lives };
    }
  }
  blocks.forEach((state, i) => {
    if (i < best.at) list.addLives(state, before(state), "running", 1);
    else if (i > best.at) list.addLives(state, behind(state), "running", 1);
    else list.addLives(state, best.lives, "running", 1);
  });
}

/** Lives at the fullest op of a phase (0 F, 1 B, 2 W). */
function fullest({ lives, bounds, held }: BlockState, phase: number): readonly Life[] {
  const from = bounds[phase]!;
  const to = bounds[phase + 1]!;
  if (from === to) return [];
  let at = from;
  for (let i = from; i < to; i++) if (held[i]! > held[at]!) at = i;
  return lives.filter((life) => life.start <= at && life.end >= at);
}

function crossing({ lives, bounds }: BlockState, border: number): readonly Life[] {
  return border >= bounds[3] ? [] : lives.filter((life) => life.start < border && life.end >= border);
}

function blockStates(program: Program, stage: number): BlockState[] {
  const { splitBackward } = program.schedule;
  return program.stages[stage]!.uses.map((use) => {
    const block = program.blocks[use.block]!;
    const { lives, bounds } = blockLives(block, splitBackward, program.reducePolicy !== "lastMicroBatch");
    const onDevice = lives.filter((life) => block.buffers[life.buffer]!.tier === "hbm");
    const held = new Float64Array(bounds[3] + 1);
    for (const life of onDevice) for (let i = life.start; i <= life.end; i++) held[i]! += life.sizeBytes;
    return { block, label: use.label, lives: onDevice, bounds, held };
  });
}

interface Entry extends Omit<PeakBuffer, "count" | "sizeBytes" | "owner"> {
  count: number;
  sizeBytes: number;
  readonly labels: Set<string>;
}

class BufferList {
  private readonly program: Program;
  private readonly entries = new Map<string, Entry>();
  private readonly opsOf = new Map<Block, readonly string[]>();
  /** Of the program's own buffers. */
  persistentWorkspaceBytes = 0;

  constructor(program: Program) {
    this.program = program;
  }

  addPersistent({ block, label }: BlockState, scope: "persistent" | "run"): void {
    block.buffers.forEach((buffer, id) => {
      const sizeBytes = bufferBytes(buffer);
      if (buffer.scope !== scope || sizeBytes === 0) return;
      if (buffer.kind === "workspace" && buffer.tier === "hbm") this.persistentWorkspaceBytes += sizeBytes;
      this.add(`${block.name} ${id}`, factsOf(buffer, "persistent"), { label, count: 1, sizeBytes });
    });
  }

  addLives({ block, label, bounds }: BlockState, lives: readonly Life[], state: BufferState, count: number): void {
    if (count <= 0) return;
    const ops = this.opNames(block);
    for (const life of lives) {
      if (life.sizeBytes === 0) continue;
      const text = (at: number) => `${phaseName(at, bounds)}: ${ops[at] ?? "handed over"}`;
      const facts = { ...factsOf(block.buffers[life.buffer]!, state), from: text(life.start), to: text(life.end) };
      this.add(`${block.name} ${life.buffer} ${life.start} ${state}`, facts, {
        label,
        count,
        sizeBytes: life.sizeBytes * count,
      });
    }
  }

  /** Outputs that a framework keeps although they are sent on. */
  addKept(sizeBytes: number, count: number): void {
    if (sizeBytes === 0 || count <= 0) return;
    const facts = { name: "stage output, kept", state: "stash", kind: "activation", tier: "hbm" } as const;
    this.add("kept", facts, { label: "stage", count, sizeBytes: sizeBytes * count });
  }

  addSum(name: string, state: BufferState, sizeBytes: number): void {
    if (sizeBytes <= 0) return;
    this.add(name, { name, state, kind: "workspace", tier: "hbm" }, { label: "rank", count: 1, sizeBytes });
  }

  sorted(): PeakBuffer[] {
    return [...this.entries.values()]
      .map(({ labels, ...entry }) => ({ ...entry, owner: labelsText([...labels]) }))
      .sort((a, b) => b.sizeBytes - a.sizeBytes || (a.name < b.name ? -1 : 1));
  }

  private add(
    key: string,
    facts: Omit<Entry, "count" | "sizeBytes" | "labels">,
    more: { readonly label: string; readonly count: number; readonly sizeBytes: number },
  ): void {
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = { ...facts, count: 0, sizeBytes: 0, labels: new Set() };
      this.entries.set(key, entry);
    }
    entry.count += more.count;
    entry.sizeBytes += more.sizeBytes;
    entry.labels.add(more.label);
  }

  private opNames(block: Block): readonly string[] {
    let names = this.opsOf.get(block);
    if (names === undefined) {
      const { reducePolicy, schedule } = this.program;
      const { F, B, W } = actionOps(block, schedule.splitBackward, reducePolicy !== "lastMicroBatch");
      names = [...F, ...B, ...W].map((op) => opName(op, block));
      this.opsOf.set(block, names);
    }
    return names;
  }
}

function factsOf(buffer: BufferDecl, state: BufferState) {
  const { name, kind, tier, shape, dtype } = buffer;
  return { name: name.replace(/^.*\*(?:\+\d+)?\./, ""), state, kind, tier, shape, dtype };
}

function phaseName(at: number, bounds: BlockState["bounds"]): string {
  return at < bounds[1] ? "forward" : at < bounds[2] ? "backward" : "weight gradient";
}

/** `layers.0`, `layers.1`, `layers.2`, `head` -> `layers.0-2, head`. */
export function labelsText(labels: readonly string[]): string {
  const runs: { readonly stem: string; readonly from: number; to: number }[] = [];
  for (const label of labels) {
    const [, stem = label, digits] = /^(.*?)(\d+)$/.exec(label) ?? [];
    const index = digits === undefined ? Number.NaN : Number(digits);
    const last = runs.at(-1);
    if (last !== undefined && last.stem === stem && last.to + 1 === index) last.to = index;
    else runs.push({ stem, from: index, to: index });
  }
  return runs
    .map(({ stem, from, to }) => (Number.isNaN(from) ? stem : from === to ? `${stem}${from}` : `${stem}${from}-${to}`))
    .join(", ");
}
