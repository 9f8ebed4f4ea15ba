// Whether a finished strategy fits its model, workload and cluster: everything must divide. The planner asks the same question of each
// candidate, so this is a plain function of values and names every violation, with the nearest numbers that work.

import type { ClusterSpec } from "../cluster/types.ts";
import type { LayerSpec, ModelSpec } from "../model/types.ts";
import { checkScheduleRequest } from "../parallel/schedules/index.ts";
import type { Strategy, Workload } from "../parallel/strategy.ts";
import type { DType } from "../units/dtype.ts";
import { collectFindings, type Finding } from "../units/errors.ts";
import { checkShares } from "./checkMixed.ts";
import { divisorsNear, divisorsOf, multiplesNear, useOneOf } from "./divisors.ts";

export interface ClosedSpec {
  readonly model: ModelSpec;
  readonly cluster: ClusterSpec;
  readonly strategy: Strategy;
  readonly workload: Workload;
}

/** Every reason the strategy cannot run; empty when it can. Memory is not judged here. */
export function checkStrategy(spec: ClosedSpec): readonly Finding[] {
  return [
    ...checkMeshSizes(spec),
    ...checkWidths(spec),
    ...checkExperts(spec),
    ...checkSequence(spec),
    ...checkStages(spec),
    ...checkFormats(spec),
    ...checkShares(spec),
  ];
}

function found(path: string, message: string, hint?: string): Finding {
  return hint === undefined ? { path, message } : { path, message, hint };
}

function checkMeshSizes({ strategy }: ClosedSpec): readonly Finding[] {
  const { cp, ulysses, dp, shardGroup } = strategy;
  const findings: Finding[] = [];
  if (cp % ulysses !== 0) {
    findings.push(
      found(
        "strategy.ulysses",
        `ulysses=${ulysses} does not divide cp=${cp}`,
        useOneOf("ulysses", divisorsNear(cp, ulysses)),
      ),
    );
  }
  if ((dp * cp) % shardGroup !== 0) {
    findings.push(
      found(
        "strategy.shard_group",
        `shard_group=${shardGroup} does not divide dp x cp = ${dp * cp}`,
        useOneOf("shard_group", divisorsNear(dp * cp, shardGroup)),
      ),
    );
  }
  return findings;
}

/** All layers that differ, decoder and encoder. */
function allKinds(model: ModelSpec): readonly LayerSpec[] {
  return [...model.layerKinds, ...(model.encoder?.layerKinds ?? [])];
}

/** What tp cuts: heads, kv heads, ffn columns, state-space heads. One finding per distinct width. */
function checkWidths({ model, strategy }: ClosedSpec): readonly Finding[] {
  const { tp, ulysses } = strategy;
  const findings = new Map<string, Finding>();
  const add = (path: string, message: string, hint?: string) => {
    if (!findings.has(message)) findings.set(message, found(path, message, hint));
  };
  const split = (what: string, width: number) => {
    if (width % tp !== 0)
      add("strategy.tp", `Cannot split ${width} ${what} over tp=${tp}`, useOneOf("tp", divisorsNear(width, tp)));
  };
  for (const { mixer, ffn } of allKinds(model)) {
    if (mixer.kind === "attention" || mixer.kind === "mla") {
      split("attention heads", mixer.heads);
      const local = mixer.heads / tp;
      // Copied kv heads: one per rank.
      const localKv = mixer.kind === "attention" ? Math.max(1, mixer.kvHeads / tp) : local;
      if (mixer.heads % tp === 0 && Number.isInteger(localKv) && localKv % ulysses !== 0) {
        const what = localKv === local ? "heads" : "key-value heads";
        add(
          "strategy.ulysses",
          `Cannot exchange ${localKv} ${what} per tp rank over ulysses=${ulysses}`,
          useOneOf("ulysses", divisorsNear(localKv, ulysses)),
        );
      }
    }
    // Fewer kv heads than ranks are replicated, evenly.
    if (mixer.kind === "attention" && mixer.kvHeads % tp !== 0 && tp % mixer.kvHeads !== 0) {
      const fits = divisorsOf(mixer.heads).filter((d) => mixer.kvHeads % d === 0 || d % mixer.kvHeads === 0);
      const near = [fits.filter((d) => d < tp).at(-1), fits.find((d) => d > tp)].filter((d) => d !== undefined);
      add(
        "strategy.tp",
        `Cannot place ${mixer.kvHeads} key-value heads on tp=${tp}: one must divide the other`,
        useOneOf("tp", near),
      );
    }
    if (mixer.kind === "ssm") {
      split("state-space heads", mixer.heads);
      split("state-space groups", mixer.groups);
    }
    if (ffn.kind === "dense") split("feed-forward columns", ffn.inner);
    if (ffn.kind === "moe" && ffn.sharedInner > 0) split("shared expert columns", ffn.sharedInner);
  }
  return [...findings.values()];
}

function checkExperts({ model, strategy }: ClosedSpec): readonly Finding[] {
  const { tp, cp, dp, ep, etp } = strategy;
  const moe = allKinds(model).flatMap((layer) => (layer.ffn.kind === "moe" ? [layer.ffn] : []));
  if (moe.length === 0) {
    return ep > 1 ? [found("strategy.ep", `ep=${ep}, but "${model.name}" has no experts`, "remove ep")] : [];
  }
  const findings: Finding[] = [];
  for (const experts of new Set(moe.map((ffn) => ffn.experts))) {
    if (experts % ep !== 0)
      findings.push(
        found(
          "strategy.ep",
          `Cannot deal ${experts} experts to ep=${ep} ranks`,
          useOneOf("ep", divisorsNear(experts, ep)),
        ),
      );
  }
  for (const inner of new Set(moe.map((ffn) => ffn.inner))) {
    if (inner % etp !== 0)
      findings.push(
        found(
          "strategy.etp",
          `Cannot split ${inner} expert columns over etp=${etp}`,
          useOneOf("etp", divisorsNear(inner, etp)),
        ),
      );
  }
  const inStage = tp * cp * dp;
  if (inStage % (ep * etp) !== 0) {
    const smaller = inStage % ep === 0 ? "etp=1" : undefined;
    const options = inStage % etp === 0 ? useOneOf("ep", divisorsNear(inStage / etp, ep)) : undefined;
    const hint = smaller === undefined ? options : `use ${smaller}`;
    findings.push(
      found(
        "strategy.ep",
        `ep x etp = ${ep} x ${etp} = ${ep * etp} does not divide the ${inStage} ranks of a stage (tp x cp x dp)`,
        hint,
      ),
    );
  }
  return findings;
}

function checkSequence({ strategy, workload }: ClosedSpec): readonly Finding[] {
  const { tp, cp, ulysses, microBatch } = strategy;
  const { seqLen } = workload;
  const findings: Finding[] = [];
  // Zigzag deals two pieces to each ring rank, which the Ulysses ranks cut further.
  const ring = cp / ulysses;
  const pieces = strategy.cpLayout === "zigzag" && ring > 1 && Number.isInteger(ring) ? 2 * cp : cp;
  if (seqLen % pieces !== 0) {
    const why = pieces === cp ? `cp=${cp}` : `2 x cp = ${pieces} pieces (zigzag)`;
    findings.push(
      found(
        "workload.seq",
        `Cannot split sequences of ${seqLen} tokens into ${why}`,
        useOneOf("seq", multiplesNear(pieces, seqLen)),
      ),
    );
  } else if (strategy.sequenceParallel && (microBatch * (seqLen / cp)) % tp !== 0) {
    findings.push(
      found(
        "workload.seq",
        `Cannot split the ${microBatch * (seqLen / cp)} tokens of a micro-batch over tp=${tp} for sequence parallelism`,
        `use sequence_parallel=false, or ${useOneOf("seq", multiplesNear(tp * cp, seqLen))}`,
      ),
    );
  }
  return findings;
}

function checkStages({ model, strategy, workload }: ClosedSpec): readonly Finding[] {
  const { pp, numChunks, stageLayers } = strategy;
  const findings: Finding[] = [];
  const numLayers = model.layers.length + (model.encoder?.layers.length ?? 0);
  const equalShare = Math.max(1, Math.floor(workload.globalBatch / (strategy.microBatch * strategy.dp)));
  // Shares that are still to be dealt are dealt so that the schedule takes them.
  const shares = strategy.balanceShares === true ? [] : (strategy.replicaShares ?? [equalShare]);
  for (const numMicroBatches of new Set(shares)) {
    const request = { numRanks: pp, numChunks, numMicroBatches };
    findings.push(...(collectFindings(findings, () => checkScheduleRequest(strategy.schedule, request)) ?? []));
  }
  // A head spread over the stages is one chunk of every rank; lowering refuses it where there is no further chunk.
  const stages = pp * (strategy.vocabOverStages === true ? Math.max(1, numChunks - 1) : numChunks);
  if (stageLayers !== null) {
    const sum = stageLayers.reduce((total, n) => total + n, 0);
    // Bidirectional schedules hold every stage twice: they list pp x chunks / 2 stages.
    if (stageLayers.length !== stages && stageLayers.length * 2 !== stages) {
      findings.push(
        found(
          "strategy.stage_layers",
          `${stageLayers.length} stages are listed, but pp x chunks = ${pp} x ${numChunks} = ${stages}`,
        ),
      );
    }
    if (sum !== numLayers)
      findings.push(
        found("strategy.stage_layers", `The stages hold ${sum} layers, but "${model.name}" has ${numLayers}`),
      );
    return findings;
  }
  const items = numLayers + (strategy.balanceEmbedding ? 2 : 0);
  if (pp > 1 && stages > items) {
    const fewer =
      numChunks > 1
        ? `use chunks=${Math.max(1, Math.floor(items / pp))}`
        : `use pp=${
            divisorsOf(pp)
              .filter((d) => d <= items)
              .at(-1) ?? 1
          }`;
    findings.push(
      found(
        "strategy.pp",
        `Cannot cut ${numLayers} layers into pp x chunks = ${pp} x ${numChunks} = ${stages} stages`,
        numChunks > 1 && items < pp ? `use pp=${divisorsNear(numLayers, pp)[0] ?? 1}` : fewer,
      ),
    );
  }
  return findings;
}

/** Formats of which the device must know at least one. */
const neededPeak: Readonly<Record<Strategy["precision"], readonly DType[]>> = {
  fp32: ["fp32", "tf32"],
  bf16: ["bf16"],
  fp16: ["fp16"],
  fp8: ["fp8", "mxfp8"],
  fp8_block: ["fp8", "fp8_block"],
  mxfp8: ["mxfp8", "fp8"],
  nvfp4: ["nvfp4", "mxfp4"],
};

function checkFormats({ cluster, strategy }: ClosedSpec): readonly Finding[] {
  const devices = new Map(
    [cluster, ...(cluster.groups ?? []).map((group) => group.view)].map(({ device }) => [device.id, device]),
  );
  return [...devices.values()].flatMap(({ name: device, peakFlopsPerSec: peaks }) => {
    if (neededPeak[strategy.precision].some((dtype) => peaks[dtype] !== undefined)) return [];
    const known = (Object.keys(neededPeak) as Strategy["precision"][]).filter((name) =>
      neededPeak[name].some((dtype) => peaks[dtype] !== undefined),
    );
    return [
      found(
        "strategy.precision",
        `Device "${device}" has no ${strategy.precision} matrix units`,
        known.length === 0 ? undefined : `it has ${known.join(", ")}`,
      ),
    ];
  });
}
