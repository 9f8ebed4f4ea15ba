// One rank of a run: follows its own action lists of the program that `predict` prices, with f32 values, and keeps parameters and optimizer state
// between steps. Ranks meet in the program's collectives and stage sends alone; nothing else orders them.
//
// A step: actions of the schedule; replicas of bidirectional schedules add their gradients; gradients are reduced and copies of the token table
// synchronised; the norm of all gradients becomes known to every rank; the optimizer runs, unless the norm says that gradients overflowed; updated
// shards are gathered. Bytes sent and live bytes are counted in the formats that the program declares, as the reference does.

import {
  assert,
  coordinatesOf,
  decodeAction,
  type Mesh,
  meshSize,
  type Program,
  programOfShare,
} from "@meshwright/core";
import { type ActionRecord, ActionRunner } from "../../reference/actions.ts";
import type { Tokens } from "../../reference/data.ts";
import { type EngineParts, eachPlace, engineParts, placesOf, runPhase } from "../../reference/engineParts.ts";
import type { OpWatch, Run } from "../../reference/frame.ts";
import { FreshSums } from "../../reference/freshSums.ts";
import { type InitialValue, initialiseParameters } from "../../reference/initialise.ts";
import type { Mat } from "../../reference/kernels/mat.ts";
import { firstStep, type OptimizerSettings } from "../../reference/kernels/optimizer.ts";
import { type Kernels, plainKernels } from "../../reference/kernels/plain.ts";
import type { MatMemory } from "../../reference/matMemory.ts";
import { isSum } from "../../reference/opPlans.ts";
import { gradientPieces, parameterPieces, type TensorPiece } from "../../reference/results.ts";
import { addReplicas, gradientNorm, syncEmbedding, updateParameters } from "../../reference/stepEnd.ts";
import { RankStore } from "../../reference/store.ts";
import { type Traffic, TrafficBook } from "../../reference/traffic.ts";
import { elementsIn } from "./elements.ts";
import { KernelClock } from "./kernelClock.ts";
import type { GroupsOf, RankLink } from "./links.ts";
import { gradientViews, type NamedShard, namedShards } from "./namedShards.ts";
import { bothOf, engineWatch } from "./opWatch.ts";
import { RankExchanges } from "./rankExchanges.ts";
import { RankMail } from "./rankMail.ts";
import { isNarrow, roundMat, roundValues } from "./rounding.ts";
import { nowSec, type RankSpans, SpanRecorder } from "./spanRecorder.ts";

export interface RankEngineOptions {
  readonly program: Program;
  readonly rank: number;
  readonly link: RankLink;
  readonly groups: GroupsOf;
  readonly memory: MatMemory;
  /** The plain ones when absent. */
  readonly kernels?: Kernels;
  /** Rows of the token table, padding included. */
  readonly vocab: number;
  readonly initial: InitialValue;
  /** Values are rounded to the formats of their buffers; false: everything is f32. */
  readonly rounds: boolean;
  /** Fresh memory holds NaN, so that a read of what nobody wrote shows: for proofs. */
  readonly poison: boolean;
  /** Keep a span of every op. */
  readonly recordsSpans: boolean;
  /** Told of every op besides; for code that looks inside. */
  readonly watch?: OpWatch;
}

/** Where the batches of a run come from: a pure function of the step, the same on every rank. */
export interface BatchSource {
  /** @param step 0-based. */
  batch(step: number): Tokens;
}

export interface StepSettings {
  /** `gradScale` is what the engine multiplies the gradients by beside clipping and the loss scale; usually 1. */
  readonly optimizer: OptimizerSettings;
  /** Gradients are scaled down to this norm where theirs is larger; null: never. */
  readonly clipNorm: number | null;
  /** The loss is multiplied by this before backward; 1 unless gradients have 16 bits and need it. */
  readonly lossScale: number;
  /** What each micro-batch counts in loss and gradients; absent: 1. */
  readonly microBatchWeights?: readonly number[];
}

/** The step of the proofs. */
export const plainStep: StepSettings = { optimizer: firstStep, clipNorm: null, lossScale: 1 };

/** Called on every rank at the same points of a step. What throws here ends the step on this rank. */
export interface StepHooks {
  beforeStep?(engine: RankEngine): void;
  /** Before each action of the schedule, in order: `index` counts them. "stop" gives up the rest, and what was computed of gradients and loss. */
  beforeAction?(engine: RankEngine, index: number): "stop" | undefined;
  /** Gradients are reduced and synchronised; the optimizer has not run. */
  afterGradients?(engine: RankEngine): void;
  afterStep?(engine: RankEngine, result: StepResult): void;
}

export interface StepResult {
  /** Mean over all tokens of the step, on every rank. */
  readonly loss: number;
  /** Of all gradients, before clipping, the loss scale divided out. */
  readonly gradNorm: number;
  /** Gradients overflowed, so parameters are as they were. */
  readonly skipped: boolean;
  readonly durationSec: number;
  /** Of this rank: bytes in the formats of the program. */
  readonly memory: {
    readonly startBytes: number;
    readonly peakBytes: number;
    readonly endBytes: number;
    /** Most bytes of offloaded buffers. */
    readonly hostPeakBytes: number;
  };
  /** What this rank sent: `axis kind` by `rank axis kind` as in TrafficBook. */
  readonly traffic: ReadonlyMap<string, Traffic>;
  readonly actions: readonly ActionRecord[];
  /** Null unless asked for. */
  readonly spans: RankSpans | null;
}

const actionCategories = { F: "forward", B: "backward", W: "weight gradient", BW: "backward" } as const;

export class RankEngine {
  readonly rank: number;
  readonly program: Program;
  readonly mesh: Mesh;
  private readonly options: RankEngineOptions;
  private readonly state: Run;
  private readonly store: RankStore;
  /** What this rank runs: its own lane, with the schedule of its replica's share of the batch. */
  private readonly parts: EngineParts;
  private readonly runner: ActionRunner;
  private readonly mail: RankMail;
  private readonly recorder: SpanRecorder | null;
  private readonly freshSums = new FreshSums();
  /** Gradients and losses. */
  private readonly sums: readonly Mat[];
  readonly pipelineRank: number;

  constructor(options: RankEngineOptions) {
    const { program, rank, memory, poison, rounds, link, groups } = options;
    const { mesh } = program;
    assert(link.numRanks === meshSize(mesh), `${link.numRanks} ranks run a program of ${meshSize(mesh)}`);
    this.options = options;
    this.program = program;
    this.mesh = mesh;
    this.rank = rank;
    this.recorder = options.recordsSpans ? new SpanRecorder(rank) : null;
    this.store = new RankStore(mesh, rank, { memory, poison });
    const clock = new KernelClock();
    const recording = this.recorder === null ? null : { recorder: this.recorder, clock };
    const kernels = options.kernels ?? plainKernels;
    const stores: RankStore[] = [];
    stores[rank] = this.store;
    this.state = {
      mesh,
      stores,
      exchanges: new RankExchanges({ rank, memory, groups, round: rounds ? roundValues : null }),
      traffic: new TrafficBook(),
      vocab: options.vocab,
      tokens: noTokens,
      globalTokens: program.globalTokens,
      replicaShares: program.replicaShares,
      kernels: recording === null ? kernels : clock.watched(kernels),
      optimizer: firstStep,
      lossScale: 1,
      microBatchWeights: null,
      loss: 0,
      routings: new WeakMap(),
      tokenCache: new WeakMap(),
      freshSums: this.freshSums,
      watch: bothOf(engineWatch(rank, recording, rounds && hasNarrowBuffers(program)), options.watch ?? null),
    };
    const { dp, pp } = coordinatesOf(mesh, rank);
    const own = programOfShare(program, program.replicaShares?.[dp] ?? program.microBatchesPerStep);
    this.pipelineRank = pp;
    this.parts = { ...engineParts(program, this.state, (each) => each === rank), program: own };
    const { allLanes } = this.parts;
    const { recorder } = this;
    const received =
      recorder === null
        ? {}
        : {
            received: (from: number, startSec: number) =>
              recorder.addReceive(from, startSec, nowSec(), this.store.heldBytes.hbm),
          };
    this.mail = new RankMail({ program, rank, store: this.store, link, groups, allLanes, ...received });
    this.runner = new ActionRunner(this.parts, this.mail);
    for (const { places } of placesOf(this.parts)) {
      initialiseParameters(this.store, mesh, rank, places, options.initial);
      if (!rounds) continue;
      for (const place of places) {
        for (const [id, decl] of place.block.buffers.entries())
          if (decl.scope === "persistent" && decl.kind === "parameter" && decl.view === undefined)
            roundMat(this.store.get(place, id), decl.dtype);
      }
    }
    this.sums = sumsOf(this.parts, this.store);
  }

  /** One step of training. Every rank calls it with the same tokens and settings. */
  step(tokens: Tokens, settings: StepSettings, hooks: StepHooks = {}): StepResult {
    const startSec = nowSec();
    hooks.beforeStep?.(this);
    const { state, store, parts, program } = this;
    const startBytes = store.heldBytes.hbm;
    this.begin(tokens, settings.lossScale);
    state.microBatchWeights = settings.microBatchWeights ?? null;
    for (const [index, code] of parts.program.schedule.actions[this.pipelineRank]!.entries()) {
      if (hooks.beforeAction?.(this, index) === "stop") {
        store.dropTransient();
        this.freshSums.begin(this.sums);
        state.loss = 0;
        break;
      }
      const action = decodeAction(code);
      this.span(
        `${action.kind}${action.microBatch}${chunkSuffix(program, action.chunk)}`,
        actionCategories[action.kind],
        () => this.runner.runAction(parts, this.pipelineRank, action),
      );
    }
    this.freshSums.settle();
    this.span("reduce", "optimizer", () => {
      addReplicas(parts);
      if (program.reducePolicy === "lastMicroBatch") eachPlace(parts, (frame, block) => runPhase(frame, block.reduce));
      syncEmbedding(parts);
    });
    hooks.afterGradients?.(this);
    let gradNorm = 0;
    let skipped = false;
    this.span("update", "optimizer", () => {
      gradNorm = Math.sqrt(gradientNorm(parts)) / settings.lossScale;
      skipped = !Number.isFinite(gradNorm);
      const clip = settings.clipNorm === null || gradNorm <= settings.clipNorm ? 1 : settings.clipNorm / gradNorm;
      const gradScale = (settings.optimizer.gradScale * clip) / settings.lossScale;
      state.optimizer = { ...settings.optimizer, gradScale };
      if (!skipped) updateParameters(parts);
    });
    if (program.gatherPolicy === "afterUpdate" && !skipped)
      this.span("gather", "optimizer", () => eachPlace(parts, (frame, block) => runPhase(frame, block.gather)));
    const loss = this.end();
    const result: StepResult = {
      loss,
      gradNorm,
      skipped,
      durationSec: nowSec() - startSec,
      memory: {
        startBytes,
        peakBytes: store.peakBytes,
        endBytes: store.heldBytes.hbm,
        hostPeakBytes: store.hostPeakBytes,
      },
      traffic: state.traffic.byRank,
      actions: [...this.runner.records],
      spans: this.recorder?.spans() ?? null,
    };
    hooks.afterStep?.(this, result);
    return result;
  }

  /** Mean loss of a batch without backward; parameters stay as they are. */
  evaluate(tokens: Tokens): number {
    this.begin(tokens, 1);
    for (const code of this.parts.program.schedule.actions[this.pipelineRank]!) {
      const action = decodeAction(code);
      if (action.kind === "F") this.runner.runForwardOnly(this.parts, this.pipelineRank, action);
    }
    return this.end();
  }

  /** Parameters, masters and optimizer state that this rank holds, as views that may be read and written between steps. */
  shards(): readonly NamedShard[] {
    return namedShards(this.parts);
  }

  /** After shards were written: gathered copies and working parameters of sharded ones follow their masters. */
  refreshParameters(): void {
    if (this.program.gatherPolicy === "afterUpdate")
      eachPlace(this.parts, (frame, block) => runPhase(frame, block.gather));
  }

  /** Copies of the reduced gradients, or of the parameters, that this rank holds. */
  gradients(): TensorPiece[] {
    return gradientPieces(this.parts);
  }

  /** What this rank has added to the loss of the step that runs. */
  get ownLoss(): number {
    return this.state.loss;
  }

  /** Views of what the optimizer reads, in an order that ranks of one program share; they may be written in `afterGradients`. */
  gradientViews(): Float32Array[] {
    return gradientViews(this.parts);
  }

  parameters(): TensorPiece[] {
    return parameterPieces(this.parts);
  }

  private begin(tokens: Tokens, lossScale: number): void {
    this.state.tokens = tokens;
    this.state.lossScale = lossScale;
    this.state.microBatchWeights = null;
    this.state.loss = 0;
    this.state.traffic = new TrafficBook();
    this.runner.records.length = 0;
    this.recorder?.begin();
    this.store.beginPeaks();
    this.freshSums.begin(this.sums);
  }

  /** Waits for what is on its way and adds up the ranks' losses. */
  private end(): number {
    const startSec = this.recorder === null ? 0 : nowSec();
    this.mail.settle();
    const left = [...this.store.leftovers(), ...this.mail.leftovers()];
    assert(left.length === 0, `rank ${this.rank} frees everything: ${left.join(", ")}`);
    const loss = this.sumOverRanks(this.state.loss);
    this.recorder?.addWait("sum of losses", startSec, nowSec(), this.store.heldBytes.hbm);
    return loss;
  }

  /** A sum that is the same number on every rank; in two parts, so that f32 messages carry it. */
  private sumOverRanks(value: number): number {
    const { numRanks } = this.options.link;
    if (numRanks === 1) return value;
    const ranks = Array.from({ length: numRanks }, (_, rank) => rank);
    const own = this.options.memory.allocate(1, 2, 0);
    const all = this.options.memory.allocate(numRanks, 2, 0);
    const high = Math.fround(value);
    own.data[own.offset] = high;
    own.data[own.offset + 1] = Number.isFinite(high) ? value - high : 0;
    this.options.groups(ranks).allGather(elementsIn(own), elementsIn(all));
    const sum = elementsIn(all).reduce((total, part) => total + part, 0);
    this.options.memory.release(own);
    this.options.memory.release(all);
    return sum;
  }

  private span(name: string, category: string, run: () => void): void {
    const startSec = this.recorder === null ? 0 : nowSec();
    run();
    this.recorder?.addAction(name, category, startSec, nowSec(), this.store.heldBytes.hbm);
  }
}

/** What a rank adds up over a step: its own gradients and losses, not those that other block uses stand for. */
function sumsOf(parts: EngineParts, store: RankStore): Mat[] {
  return placesOf(parts).flatMap(({ places }) =>
    places.flatMap((place) =>
      [...place.block.buffers.entries()]
        .filter(([id, { shared }]) => isSum(place.block, id) && shared !== true)
        .map(([id]) => store.get(place, id)),
    ),
  );
}

const noTokens: Tokens = {
  id(): number {
    throw new Error("A step brings its tokens");
  },
};

function chunkSuffix(program: Program, chunk: number): string {
  return program.schedule.numChunks > 1 ? ` chunk ${chunk}` : "";
}

function hasNarrowBuffers(program: Program): boolean {
  return program.blocks.some((block) => block.buffers.some((decl) => isNarrow(decl.dtype)));
}
