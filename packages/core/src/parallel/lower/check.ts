// What a strategy must satisfy to be lowered: everything divides, and the parts named exist in the model. All findings at once.

import type { LayerSpec, ModelSpec } from "../../model/types.ts";
import type { Finding } from "../../units/errors.ts";
import { scheduleFamilies } from "../schedules/index.ts";
import type { Software, Strategy, Workload } from "../strategy.ts";

/** Schedules with two replicas of the model in opposite directions. */
const twoWay: readonly string[] = ["chimera", "bitpipe", "dualpipe"];

export function checkLowering(model: ModelSpec, strategy: Strategy, workload: Workload, software: Software): Finding[] {
  const findings: Finding[] = [];
  const say = (path: string, message: string, hint?: string): void => {
    if (!findings.some((finding) => finding.message === message))
      findings.push({ path, message, ...(hint === undefined ? {} : { hint }) });
  };
  const divides = (path: string, amount: number, by: number, what: string): void => {
    if (amount % by !== 0)
      say(
        path,
        `Cannot split ${amount} ${what} over ${by} ranks`,
        `use a divisor of ${amount}: ${divisors(amount)
          .filter((d) => d <= 64)
          .join(", ")}`,
      );
  };
  const { tp, cp, ulysses, dp, pp, ep, etp } = strategy;
  if (!model.hasLmHead)
    say(
      "model",
      `Model "${model.name}" has no language-model head: there is no loss to train`,
      "use a causal or encoder-decoder language model",
    );
  const ranks = tp * cp * dp;
  if (ranks % (ep * etp) !== 0)
    say(
      "strategy.ep",
      `Cannot place ep=${ep} x etp=${etp} on tp x cp x dp = ${ranks} ranks`,
      `make ep x etp a divisor of ${ranks}`,
    );
  if (strategy.optimizer === "muon" && strategy.offloadOptimizer)
    say(
      "strategy.offloadOptimizer",
      "Muon multiplies matrices on the device, so its state is not kept in host memory",
      "leave offloadOptimizer out, or use adamw",
    );
  if (strategy.optimizer === "adafactor" && strategy.vocabOverStages === true)
    say(
      "strategy.vocabOverStages",
      "Adafactor sums over the columns of a head that lies on one stage",
      "leave vocabOverStages out, or use adamw",
    );
  divides("strategy.ulysses", cp, ulysses, "context-parallel ranks");
  if (strategy.sharding !== "none") divides("strategy.shardGroup", dp * cp, strategy.shardGroup, "data-parallel ranks");
  if (strategy.reduceGradients === "run") {
    const family = scheduleFamilies.find(({ name }) => name === strategy.schedule);
    if (strategy.sharding !== "zero2" && strategy.sharding !== "zero3")
      say(
        "strategy.reduceGradients",
        `Gradients of sharding "${strategy.sharding}" are kept whole and reduced once a step: there are no runs to reduce`,
        'use sharding "zero2" or "zero3", or leave reduceGradients out',
      );
    else if (family !== undefined && (family.splitBackward || twoWay.includes(family.name)))
      say(
        "strategy.reduceGradients",
        `Schedule "${strategy.schedule}" ${family.splitBackward ? "splits its backwards" : "runs in two directions"}, so micro-batches of a chunk form no runs`,
        "use gpipe, 1f1b, interleaved, breadth-first or hanayo, or leave reduceGradients out",
      );
    if (software.crossEntropy === "fused" && tp === 1)
      say(
        "strategy.reduceGradients",
        "A fused loss writes the head's gradient in forward, before the run of its micro-batch begins",
        "use software.cross_entropy vocabParallel or fp32Copy, or leave reduceGradients out",
      );
  }
  const perStep = strategy.microBatch * dp;
  const { replicaShares } = strategy;
  if (replicaShares !== undefined) {
    const dealt = replicaShares.reduce((sum, share) => sum + share, 0) * strategy.microBatch;
    if (replicaShares.length !== dp || dealt !== workload.globalBatch)
      say(
        "strategy.replicaShares",
        `${replicaShares.length} shares of ${dealt} sequences do not deal a global batch of ${workload.globalBatch} to dp=${dp} replicas`,
        "give dp shares that add up",
      );
  } else if (strategy.balanceShares !== true && workload.globalBatch % perStep !== 0)
    say(
      "workload.globalBatch",
      `Global batch ${workload.globalBatch} is not a multiple of micro-batch ${strategy.microBatch} x dp ${dp} = ${perStep}`,
      `use ${perStep * Math.max(1, Math.round(workload.globalBatch / perStep))}`,
    );
  const pieces = cp * (strategy.cpLayout === "zigzag" && cp / ulysses > 1 ? 2 : 1);
  divides("workload.seqLen", workload.seqLen, pieces, `tokens of a sequence (cp=${cp}, ${strategy.cpLayout})`);
  if (strategy.sequenceParallel && tp > 1 && (strategy.microBatch * workload.seqLen) % (cp * tp) !== 0) {
    say(
      "strategy.sequenceParallel",
      `Cannot split ${(strategy.microBatch * workload.seqLen) / cp} rows over tp=${tp} for sequence parallelism`,
      "turn sequenceParallel off or change tp",
    );
  }
  const numLayers = model.layers.length + (model.encoder?.layers.length ?? 0);
  const chunks = strategy.vocabOverStages === true ? strategy.numChunks - 1 : strategy.numChunks;
  if (strategy.vocabOverStages === true) {
    if (pp < 2 || strategy.numChunks < 2 || !["interleaved", "breadth-first"].includes(strategy.schedule)) {
      say(
        "strategy.vocabOverStages",
        "A head spread over the stages is one more chunk of every pipeline rank",
        'use pp >= 2 with schedule "interleaved" or "breadth-first" and one chunk more than the layers need',
      );
    }
    if (model.tiedEmbeddings || model.mtpLayers > 0 || model.encoder !== undefined || model.lmHeadBias) {
      say(
        "strategy.vocabOverStages",
        `The head of "${model.name}" is tied, biased or shared with other modules and cannot be spread over the stages`,
        "use an untied model without multi-token prediction",
      );
    }
  }
  if (pp * chunks > numLayers + (strategy.balanceEmbedding ? 2 : 0)) {
    say(
      "strategy.pp",
      `Cannot deal ${numLayers} layers to ${pp * chunks} stages (pp=${pp} x ${chunks} chunks)`,
      "use fewer stages",
    );
  }
  if (model.encoder !== undefined && pp > 2 && twoWay.includes(strategy.schedule))
    say(
      "strategy.schedule",
      `Cannot lower the encoder-decoder "${model.name}" with schedule "${strategy.schedule}" on ${pp} pipeline ranks: both directions would add to copies of the token table`,
      "use pp=2, or a schedule with one direction",
    );
  if (strategy.stageLayers !== null) {
    const sum = strategy.stageLayers.reduce((a, b) => a + b, 0);
    if (sum !== numLayers)
      say(
        "strategy.stageLayers",
        `Stages hold ${sum} layers together, the model has ${numLayers}`,
        "make the counts add up",
      );
  }
  if (software.attention === "unfused" && cp > ulysses)
    say(
      "software.attention",
      "Ring attention needs a fused attention kernel",
      "use flash2 or cudnn, or make ulysses equal cp",
    );
  if (model.embeddingDim !== undefined && model.embeddingDim !== model.hidden)
    say("model", `Model "${model.name}" embeds tokens in another width than its hidden size: that is not lowered`);
  const replicas = kvReplicasOf(model, tp);
  if (replicas.length > 1)
    say(
      "strategy.tp",
      `Layers of "${model.name}" would copy key-value heads over ${replicas.join(" and ")} of the tp=${tp} ranks: one number of copies is lowered`,
      "use a smaller tp",
    );
  for (const spec of [...model.layerKinds, ...(model.encoder?.layerKinds ?? [])])
    checkLayer(spec, strategy, divides, say);
  return findings;
}

/** How many neighbouring tp ranks share a kv head, in the layers that have fewer kv heads than tp ranks: the distinct numbers above 1. */
export function kvReplicasOf(model: ModelSpec, tp: number): readonly number[] {
  const counts = [...model.layerKinds, ...(model.encoder?.layerKinds ?? [])].flatMap(({ mixer }) =>
    mixer.kind === "attention" && mixer.kvHeads < tp ? [tp / mixer.kvHeads] : [],
  );
  return [...new Set(counts)];
}

type Divides = (path: string, amount: number, by: number, what: string) => void;
type Say = (path: string, message: string, hint?: string) => void;

function checkLayer(spec: LayerSpec, strategy: Strategy, divides: Divides, say: Say): void {
  const { tp, cp, ulysses, ep, etp } = strategy;
  const { mixer, ffn } = spec;
  if (spec.normAffine === false) say("model", "Norms without weights (OLMo-1, FLUX) are not lowered");
  if (mixer.kind === "mla" && mixer.sharedKv !== undefined)
    say("model", "Compressed shared keys and values (DeepSeek-V4) are not lowered");
  if (mixer.kind === "attention") {
    if (mixer.kvShared === true)
      say("model", "Layers that take the keys and values of an earlier layer (Gemma 3n) are not lowered");
    divides("strategy.tp", mixer.heads, tp, "attention heads");
    if (tp % mixer.kvHeads !== 0) divides("strategy.tp", mixer.kvHeads, tp, "key-value heads");
    const localKv = Math.max(1, mixer.kvHeads / tp);
    if (Number.isInteger(localKv)) divides("strategy.ulysses", localKv, ulysses, "key-value heads of a tp rank");
    if (mixer.qkNorm === "full" && tp > 1)
      say("strategy.tp", "A q/k norm over all heads cannot be split over tp", "use tp=1");
    if (mixer.crossAttention && cp > ulysses)
      say("strategy.cp", "Cross-attention is not lowered with ring context parallelism", "use ulysses or cp=1");
  }
  if (mixer.kind === "mla") {
    divides("strategy.tp", mixer.heads, tp, "attention heads");
    if (mixer.heads % tp === 0) divides("strategy.ulysses", mixer.heads / tp, ulysses, "heads of a tp rank");
  }
  if (mixer.kind === "ssm") {
    divides("strategy.tp", mixer.heads, tp, "state-space heads");
    divides("strategy.tp", mixer.groups, tp, "state-space groups");
    if (cp > 1) say("strategy.cp", "State-space layers are not lowered with context parallelism", "use cp=1");
  }
  if (ffn.kind === "dense") divides("strategy.tp", ffn.inner, tp, "feed-forward columns");
  if (ffn.kind === "moe") {
    divides("strategy.ep", ffn.experts, ep, "experts");
    divides("strategy.etp", ffn.inner, etp, "expert columns");
    if (ffn.sharedInner > 0) divides("strategy.tp", ffn.sharedInner, tp, "shared-expert columns");
    if (tp > 1 && !strategy.sequenceParallel && etp !== tp)
      say(
        "strategy.sequenceParallel",
        `Experts with tp=${tp} and etp=${etp} need sequence parallelism`,
        "turn sequenceParallel on, or set etp equal to tp",
      );
    if (strategy.routing.kind === "given" && strategy.routing.shares.length !== ffn.experts)
      say(
        "strategy.routing",
        `Routing gives ${strategy.routing.shares.length} shares for ${ffn.experts} experts`,
        "give one share per expert",
      );
  }
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}
