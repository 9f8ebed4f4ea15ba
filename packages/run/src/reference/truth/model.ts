// The unsplit model, straight from its ModelSpec: one sequence at a time, plain attention, every expert a loop. Only the names and
// layouts of the parameters, the data and the routing choice are shared with the program.

import {
  type ActivationKind,
  type AttentionSpec,
  assert,
  type FfnSpec,
  type LayerSpec,
  type MixerSpec,
  type MlaSpec,
  type ModelSpec,
  type MoeFfnSpec,
  type NormKind,
  type RoutingPolicy,
  type SsmSpec,
} from "@meshwright/core";
import { tokenId } from "../data.ts";
import { mat } from "../kernels/mat.ts";
import { chooseExperts } from "../kernels/routing.ts";
import { initialValue } from "../slices.ts";
import { convTruth, scanTruth } from "./scan.ts";
import { range, Tape, type Var } from "./tape.ts";

export interface TruthRequest {
  readonly model: ModelSpec;
  readonly seqLen: number;
  /** Sequences of the step. */
  readonly globalBatch: number;
  readonly routing: RoutingPolicy;
}

export interface Truth {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, Float64Array>;
  readonly parameters: ReadonlyMap<string, Float64Array>;
}

/** Weight of the multi-token-prediction losses together (arXiv 2412.19437, section 4.2). */
const mtpWeight = 0.1;

export function unsplitStep(request: TruthRequest): Truth {
  const { model, seqLen, globalBatch } = request;
  const tape = new Tape();
  const network = new Network(tape, request);
  let loss: Var | null = null;
  for (let sequence = 0; sequence < globalBatch; sequence++) {
    const own = network.sequenceLoss(sequence);
    loss = loss === null ? own : tape.add(loss, own);
  }
  assert(loss !== null, `${model.name} has a loss over ${globalBatch} sequences of ${seqLen}`);
  tape.backward(loss);
  return {
    loss: loss.value[0]!,
    gradients: new Map([...network.parameters].map(([name, v]) => [name, v.grad])),
    parameters: new Map([...network.parameters].map(([name, v]) => [name, v.value])),
  };
}

class Network {
  readonly parameters = new Map<string, Var>();
  private readonly tape: Tape;
  private readonly request: TruthRequest;

  constructor(tape: Tape, request: TruthRequest) {
    this.tape = tape;
    this.request = request;
  }

  // Parameters. Vectors are rows here; their global tensor has one column.

  private matrix(name: string, rows: number, cols: number): Var {
    return this.parameter(name, rows, cols, "normal", cols);
  }

  private vector(name: string, length: number, init: "ones" | "zeros"): Var {
    return this.parameter(name, 1, length, init, 1);
  }

  private parameter(name: string, rows: number, cols: number, init: "ones" | "zeros" | "normal", columns: number): Var {
    const known = this.parameters.get(name);
    if (known !== undefined) return known;
    const made = this.tape.leaf(rows, cols, (index) => initialValue(name, index, { init, columns }));
    this.parameters.set(name, made);
    return made;
  }

  private linear(x: Var, name: string, width: number, bias = false): Var {
    const y = this.tape.matmulT(x, this.matrix(name, width, x.cols));
    return bias ? this.tape.add(y, this.vector(`${name}.bias`, width, "zeros")) : y;
  }

  private norm(x: Var, kind: NormKind, name: string, bias: boolean): Var {
    if (kind === "none") return x;
    const { tape } = this;
    const centred = kind === "layernorm" ? tape.add(x, tape.scale(tape.rowMean(x), -1)) : x;
    const variance = tape.rowMean(tape.mul(centred, centred));
    const inverse = tape.map(
      variance,
      (v) => (v + 1e-5) ** -0.5,
      (v) => -0.5 * (v + 1e-5) ** -1.5,
    );
    const scaled = tape.mul(tape.mul(centred, inverse), this.vector(`${name}.weight`, x.cols, "ones"));
    return bias ? tape.add(scaled, this.vector(`${name}.bias`, x.cols, "zeros")) : scaled;
  }

  // The network.

  sequenceLoss(sequence: number): Var {
    const { tape } = this;
    const { model, seqLen, globalBatch } = this.request;
    const factor = 1 / (globalBatch * seqLen);
    const ids = (shift: number) => range(seqLen).map((t) => tokenId(model.vocab, sequence, t + shift));
    const table = this.matrix("embedding.table", model.vocab, model.hidden);
    let h = tape.rows(table, ids(0));
    if (model.learnedPositions > 0)
      h = tape.add(
        h,
        tape.rows(this.matrix("embedding.positions", model.learnedPositions, model.hidden), range(seqLen)),
      );
    if (model.embeddingNorm) h = this.norm(h, "layernorm", "embedding.norm", true);
    let encoded: Var | null = null;
    if (model.encoder !== undefined) {
      for (const [i, kind] of model.encoder.layers.entries())
        h = this.layer(h, model.encoder.layerKinds[kind]!, `encoder.layers.${i}`, sequence, null);
      encoded = this.norm(h, model.encoder.finalNorm, "encoder.norm", model.encoder.finalNormBias);
      h = tape.rows(table, ids(0));
    }
    for (const [i, kind] of model.layers.entries())
      h = this.layer(h, model.layerKinds[kind]!, `layers.${i}`, sequence, encoded);
    const head = model.tiedEmbeddings ? table : this.matrix("head.table", model.vocab, model.hidden);
    let logits = tape.matmulT(this.norm(h, model.finalNorm, "head.norm", model.finalNormBias), head);
    if (model.lmHeadBias) logits = tape.add(logits, this.vector("head.bias", model.vocab, "zeros"));
    let loss = tape.crossEntropy(logits, ids(1), factor);
    for (let j = 1; j <= model.mtpLayers; j++) {
      const name = `mtp.${j}`;
      const left = this.norm(h, model.finalNorm, `${name}.hiddenNorm`, model.finalNormBias);
      const right = this.norm(tape.rows(table, ids(j)), model.finalNorm, `${name}.embeddingNorm`, model.finalNormBias);
      const joined = tape.add(
        this.linear(left, `${name}.joinHidden`, model.hidden),
        this.linear(right, `${name}.joinEmbedding`, model.hidden),
      );
      h = this.layer(joined, model.layerKinds[model.layers.at(-1)!]!, `${name}.layer`, sequence, null);
      const ahead = tape.matmulT(this.norm(h, model.finalNorm, `${name}.finalNorm`, model.finalNormBias), head);
      loss = tape.add(loss, tape.crossEntropy(ahead, ids(1 + j), (factor * mtpWeight) / model.mtpLayers));
    }
    return loss;
  }

  private layer(x: Var, spec: LayerSpec, name: string, sequence: number, encoded: Var | null): Var {
    const { tape } = this;
    const norm = (from: Var, label: string) => this.norm(from, spec.norm, `${name}.${label}`, spec.normBias);
    const post = (from: Var, label: string) => (spec.normsPerBranch === 2 ? norm(from, label) : from);
    if (spec.parallelResidual && spec.mixer.kind !== "none" && spec.ffn.kind !== "none") {
      const normed = norm(x, "norm1");
      const fed = this.feedForward(spec.normsPerBranch < 1 ? normed : norm(x, "norm2"), spec.ffn, name, sequence);
      return tape.add(tape.add(x, this.mixer(normed, spec.mixer, name)), fed);
    }
    let h = x;
    if (spec.mixer.kind !== "none") h = tape.add(h, post(this.mixer(norm(h, "norm1"), spec.mixer, name), "postNorm1"));
    if (encoded !== null && spec.mixer.kind === "attention" && spec.mixer.crossAttention) {
      h = tape.add(h, this.attention(norm(h, "normCross"), spec.mixer, `${name}.cross.attention`, encoded));
    }
    if (spec.ffn.kind !== "none")
      h = tape.add(h, post(this.feedForward(norm(h, "norm2"), spec.ffn, name, sequence), "postNorm2"));
    return h;
  }

  private mixer(x: Var, spec: MixerSpec, name: string): Var {
    switch (spec.kind) {
      case "attention":
        return this.attention(x, spec, `${name}.attention`, null);
      case "mla":
        return this.mla(x, spec, `${name}.attention`);
      case "ssm":
        return this.ssm(x, spec, `${name}.ssm`);
      case "none":
        return x;
    }
  }

  private attention(x: Var, spec: AttentionSpec, name: string, encoded: Var | null): Var {
    const { tape } = this;
    const { heads, kvHeads, headDim: d, vHeadDim: dv } = spec;
    const widths = [
      heads * d,
      spec.outputGate === true && encoded === null ? heads * d : 0,
      kvHeads * d,
      spec.valueIsKey === true ? 0 : kvHeads * dv,
    ] as const;
    let q: Var;
    let k: Var;
    let v: Var;
    let gate: Var | null = null;
    if (encoded === null) {
      const qkv = this.linear(x, `${name}.qkv`, widths[0] + widths[1] + widths[2] + widths[3], spec.qkvBias);
      q = tape.columns(qkv, 0, widths[0]);
      if (widths[1] > 0) gate = tape.columns(qkv, widths[0], widths[1]);
      k = tape.columns(qkv, widths[0] + widths[1], widths[2]);
      v = spec.valueIsKey === true ? k : tape.columns(qkv, widths[0] + widths[1] + widths[2], widths[3]);
    } else {
      q = this.linear(x, `${name}.q`, widths[0], spec.qkvBias);
      const kv = this.linear(encoded, `${name}.kv`, widths[2] + widths[3], spec.qkvBias);
      k = tape.columns(kv, 0, widths[2]);
      v = tape.columns(kv, widths[2], widths[3]);
    }
    if (spec.qkNorm === "full") {
      q = this.norm(q, "rmsnorm", `${name}.qNorm`, false);
      k = this.norm(k, "rmsnorm", `${name}.kNorm`, false);
    }
    const perHead = (whole: Var, index: number, label: string): Var => {
      let one = tape.columns(whole, index * d, d);
      if (spec.qkNorm === "perHead") one = this.norm(one, "rmsnorm", `${name}.${label}Norm`, false);
      return spec.rope && encoded === null ? this.rope(one, 0, Math.round((d * spec.ropeFrac) / 2) * 2) : one;
    };
    const outs = range(heads).map((head) => {
      const kv = Math.floor((head * kvHeads) / heads);
      const causal = spec.causal && encoded === null;
      return this.softmaxAttention(
        perHead(q, head, "q"),
        perHead(k, kv, "k"),
        tape.columns(v, kv * dv, dv),
        causal,
        spec.window,
      );
    });
    let out = tape.concat(outs);
    if (gate !== null) out = tape.mul(out, tape.sigmoid(gate));
    return this.linear(out, `${name}.out`, this.request.model.hidden, spec.outBias);
  }

  private rope(x: Var, from: number, dim: number): Var {
    return this.tape.rotate(x, from, dim, (row, i) => row / 10000 ** ((2 * i) / dim));
  }

  private softmaxAttention(q: Var, k: Var, v: Var, causal: boolean, window: number): Var {
    const { tape } = this;
    const scores = tape.scale(tape.matmulT(q, k), 1 / Math.sqrt(q.cols));
    const seen = (i: number, j: number) => (!causal || j <= i) && (window === 0 || Math.abs(i - j) < window);
    return tape.matmul(tape.softmax(scores, seen), v);
  }

  private mla(x: Var, spec: MlaSpec, name: string): Var {
    const { tape } = this;
    const { heads, qkNopeHeadDim: nope, qkRopeHeadDim: turned, vHeadDim: dv, kvLoraRank, qLoraRank } = spec;
    const d = nope + turned;
    const q =
      qLoraRank === null
        ? this.linear(x, `${name}.q`, heads * d)
        : this.linear(
            this.norm(this.linear(x, `${name}.qDown`, qLoraRank), "rmsnorm", `${name}.qDownNorm`, false),
            `${name}.qUp`,
            heads * d,
          );
    const latents = this.linear(x, `${name}.kvDown`, kvLoraRank + turned);
    const shared = this.rope(tape.columns(latents, kvLoraRank, turned), 0, turned);
    const up = this.linear(
      this.norm(tape.columns(latents, 0, kvLoraRank), "rmsnorm", `${name}.kvDownNorm`, false),
      `${name}.kvUp`,
      heads * (nope + dv),
    );
    const outs = range(heads).map((head) =>
      this.softmaxAttention(
        this.rope(tape.columns(q, head * d, d), nope, turned),
        tape.concat([tape.columns(up, head * nope, nope), shared]),
        tape.columns(up, heads * nope + head * dv, dv),
        true,
        0,
      ),
    );
    return this.linear(tape.concat(outs), `${name}.out`, this.request.model.hidden);
  }

  private ssm(x: Var, spec: SsmSpec, name: string): Var {
    const { tape } = this;
    const states = spec.groups * spec.stateDim;
    const perHeadWidth = spec.heads * (spec.variant === "gatedDelta" ? 2 : 1);
    const convWidth = spec.innerDim + 2 * states;
    const projected = this.linear(x, `${name}.in`, spec.innerDim + convWidth + perHeadWidth);
    const kernel = this.matrix(`${name}.conv`, convWidth, spec.convKernel);
    const convolved = convTruth(tape, tape.columns(projected, spec.innerDim, convWidth), kernel);
    const decay = this.vector(`${name}.decay`, spec.heads, "ones");
    const skip = this.vector(`${name}.skip`, spec.heads, "ones");
    const y = scanTruth(
      tape,
      spec,
      convolved,
      tape.columns(projected, spec.innerDim + convWidth, perHeadWidth),
      decay,
      skip,
    );
    return this.linear(
      tape.mul(y, tape.sigmoid(tape.columns(projected, 0, spec.innerDim))),
      `${name}.out`,
      this.request.model.hidden,
    );
  }

  // Feed-forward.

  private feedForward(x: Var, spec: FfnSpec, name: string, sequence: number): Var {
    switch (spec.kind) {
      case "dense":
        return this.mlp(x, spec, spec.inner, `${name}.ffn`);
      case "moe":
        return this.moe(x, spec, `${name}.moe`, sequence);
      case "none":
        return x;
    }
  }

  private mlp(
    x: Var,
    spec: { readonly gated: boolean; readonly bias: boolean; readonly activation: ActivationKind },
    inner: number,
    name: string,
  ): Var {
    const up = this.linear(x, `${name}.up`, inner * (spec.gated ? 2 : 1), spec.bias);
    return this.linear(
      this.activate(up, spec.activation, spec.gated),
      `${name}.down`,
      this.request.model.hidden,
      spec.bias,
    );
  }

  private activate(up: Var, kind: ActivationKind, gated: boolean): Var {
    const { tape } = this;
    if (gated)
      return tape.mul(
        this.activate(tape.columns(up, 0, up.cols / 2), kind, false),
        tape.columns(up, up.cols / 2, up.cols / 2),
      );
    switch (kind) {
      case "silu":
        return tape.mul(up, tape.sigmoid(up));
      case "quick_gelu":
        return tape.mul(up, tape.sigmoid(tape.scale(up, 1.702)));
      case "tanh":
        return this.tanh(up);
      case "relu":
        return tape.map(
          up,
          (v) => Math.max(v, 0),
          (v) => (v > 0 ? 1 : 0),
        );
      case "relu2": {
        const positive = this.activate(up, "relu", false);
        return tape.mul(positive, positive);
      }
      case "gelu": {
        const cubed = tape.mul(up, tape.mul(up, up));
        const inside = tape.scale(tape.add(up, tape.scale(cubed, 0.044715)), Math.sqrt(2 / Math.PI));
        return tape.scale(tape.add(up, tape.mul(up, this.tanh(inside))), 0.5);
      }
    }
  }

  private tanh(x: Var): Var {
    return this.tape.map(x, Math.tanh, (_, y) => 1 - y * y);
  }

  /** Every token goes through its experts one by one. */
  private moe(x: Var, spec: MoeFfnSpec, name: string, sequence: number): Var {
    const { tape } = this;
    const { seqLen, routing, model } = this.request;
    const logits = this.linear(x, `${name}.router`, spec.experts);
    const latent = spec.latentDim !== undefined && spec.latentDim > 0 ? spec.latentDim : 0;
    const tokens = latent > 0 ? this.linear(x, `${name}.latentDown`, latent) : x;
    const width = tokens.cols;
    const up = this.matrix(`${name}.experts.up`, spec.experts * spec.inner * (spec.gated ? 2 : 1), width);
    const down = this.matrix(`${name}.experts.down`, spec.experts * width, spec.inner);
    const rowsUp = spec.inner * (spec.gated ? 2 : 1);
    const biases = spec.bias
      ? {
          up: this.vector(`${name}.experts.up.bias`, spec.experts * rowsUp, "zeros"),
          down: this.vector(`${name}.experts.down.bias`, spec.experts * width, "zeros"),
        }
      : null;
    const geometry = {
      experts: spec.experts,
      topk: spec.topk,
      localExperts: spec.experts,
      policy: routing,
      capacityFactor: null,
      layout: { batch: 1, seqLen, cp: "none", ulyssesSplit: false, tpSplit: false },
    } as const;
    const outs = range(x.rows).map((row) => {
      const probs = mat(1, spec.experts);
      probs.data.set(logits.value.subarray(row * spec.experts, (row + 1) * spec.experts));
      const chosen = chooseExperts(geometry, probs, 0, sequence * seqLen + row);
      const gates = tape.softmax(tape.transpose(tape.rows(tape.transpose(tape.rows(logits, [row])), chosen)));
      const token = tape.rows(tokens, [row]);
      let sum: Var | null = null;
      for (const [j, expert] of chosen.entries()) {
        let inner = tape.matmulT(
          token,
          tape.rows(
            up,
            range(rowsUp).map((i) => expert * rowsUp + i),
          ),
        );
        if (biases !== null) inner = tape.add(inner, tape.columns(biases.up, expert * rowsUp, rowsUp));
        let out = tape.matmulT(
          this.activate(inner, spec.activation, spec.gated),
          tape.rows(
            down,
            range(width).map((i) => expert * width + i),
          ),
        );
        if (biases !== null) out = tape.add(out, tape.columns(biases.down, expert * width, width));
        const weighted = tape.mul(out, tape.columns(gates, j, 1));
        sum = sum === null ? weighted : tape.add(sum, weighted);
      }
      return sum!; // topk >= 1
    });
    let y = tape.stack(outs);
    if (latent > 0) y = this.linear(y, `${name}.latentUp`, model.hidden);
    if (spec.sharedInner === 0) return y;
    let shared = this.mlp(x, spec, spec.sharedInner, `${name}.shared`);
    if (spec.sharedGate) shared = tape.mul(shared, tape.sigmoid(this.linear(x, `${name}.sharedGate`, 1)));
    return tape.add(y, shared);
  }
}
