// Ops that need no other rank: buffers in, kernel, buffers out.

import { assert, axisSize, type BufferId, coordinateAlong, type Op } from "@meshwright/core";
import { idsOf } from "./data.ts";
import {
  attentionRowsAt,
  enterRouting,
  expertCounts,
  type Frame,
  inheritRouting,
  matOf,
  positionsAt,
  routingAt,
  rowsAt,
} from "./frame.ts";
import type { MatrixPlace } from "./kernels/adafactor.ts";
import { dropoutKeeps } from "./kernels/elementwise.ts";
import { at, flatten, type Mat, set, unflatten } from "./kernels/mat.ts";
import { expertOrder } from "./kernels/moe.ts";
import type { OptimizerSettings } from "./kernels/optimizer.ts";
import { runNewtonSchulz } from "./orthogonalise.ts";
import { shardOffset, sliceIndices } from "./slices.ts";

export type LocalOp = Exclude<Op, { readonly kind: "collective" | "ringShift" | "exchange" | "deal" }>;

/** Rows of each of the rank's experts, from all sources together. */
function rowsPerExpert(frame: Frame, rank: number, routing: number): number[] {
  const counts = expertCounts(frame, rank, routing);
  return counts[0]!.map((_, e) => counts.reduce((sum, ofSource) => sum + ofSource[e]!, 0));
}

export function runLocal(frame: Frame, rank: number, op: LocalOp): void {
  const m = (id: number): Mat => matOf(frame, rank, id);
  const { mesh, vocab, tokens, globalTokens, kernels } = frame.run;
  const firstId = (axis: Parameters<typeof coordinateAlong>[2] | null, shardRows: number) =>
    axis === null ? 0 : coordinateAlong(mesh, rank, axis) * shardRows;
  const fresh = (accumulate: boolean, ...outs: readonly (Mat | undefined)[]) => {
    if (!accumulate) for (const out of outs) if (out !== undefined) kernels.clear(out);
  };
  switch (op.kind) {
    case "matmul":
      kernels.matmul(m(op.a), m(op.b), m(op.out), op, op.bias === undefined ? undefined : m(op.bias));
      return;
    case "groupedMatmul": {
      kernels.groupedMatmul(
        op.role,
        m(op.a),
        m(op.b),
        m(op.out),
        rowsPerExpert(frame, rank, op.routing),
        op.accumulate,
      );
      return;
    }
    case "expertBias":
      kernels.expertBias(
        rowsPerExpert(frame, rank, op.routing),
        {
          x: m(op.x),
          bias: m(op.bias),
          out: m(op.out),
          rowScale: op.rowScale === undefined ? undefined : m(op.rowScale),
        },
        op.biasScale,
      );
      return;
    case "expertBiasBackward": {
      const { weighted } = op;
      fresh(op.accumulate, m(op.dbias));
      kernels.expertBiasBackward(
        rowsPerExpert(frame, rank, op.routing),
        {
          dy: m(op.dy),
          dbias: m(op.dbias),
          weighted:
            weighted === undefined
              ? undefined
              : { bias: m(weighted.bias), rowScale: m(weighted.rowScale), drowScale: m(weighted.drowScale) },
        },
        op.biasScale,
      );
      return;
    }
    case "biasGrad":
      kernels.biasGrad(m(op.x), m(op.out), op.accumulate);
      return;
    case "norm":
      kernels.norm(
        op.norm,
        m(op.x),
        m(op.weight),
        op.bias === undefined ? undefined : m(op.bias),
        m(op.y),
        op.width,
        op.normed === undefined ? undefined : m(op.normed),
      );
      return;
    case "normBackward": {
      const dbias = op.dbias === undefined ? undefined : m(op.dbias);
      fresh(op.accumulate, m(op.dweight), dbias);
      kernels.normBackward(op.norm, {
        x: m(op.x),
        weight: m(op.weight),
        dy: m(op.dy),
        dx: m(op.dx),
        dweight: m(op.dweight),
        dbias,
        normed: op.normed === undefined ? undefined : m(op.normed),
        width: op.width,
      });
      return;
    }
    case "activation":
      kernels.activation(op.fn, op.gated, m(op.x), m(op.y), op.rowScale === undefined ? undefined : m(op.rowScale));
      return;
    case "activationBackward":
      kernels.activationBackward(
        op.fn,
        op.gated,
        m(op.x),
        m(op.dy),
        m(op.dx),
        op.rowScale === undefined || op.drowScale === undefined
          ? undefined
          : { scale: m(op.rowScale), dscale: m(op.drowScale) },
      );
      return;
    case "add":
      kernels.addTo(m(op.a), m(op.b), m(op.out));
      return;
    case "mul":
      kernels.multiply(m(op.a), m(op.b), m(op.out));
      return;
    case "sigmoidGate":
      kernels.sigmoidGate(m(op.gate), m(op.x), m(op.out));
      return;
    case "sigmoidGateBackward":
      kernels.sigmoidGateBackward(m(op.gate), m(op.x), m(op.dy), m(op.dgate), m(op.dx));
      return;
    case "rope":
      kernels.rope(m(op.x), m(op.out), positionsAt(frame, rank, op.layout), op);
      return;
    case "headConcat":
      kernels.headConcat(m(op.a), m(op.b), m(op.out), op);
      return;
    case "repeatHeads":
      kernels.repeatHeads(m(op.x), m(op.out), op);
      return;
    case "headSplit":
      kernels.headSplit(m(op.x), m(op.a), m(op.b), op);
      return;
    case "dropout":
      kernels.dropout(m(op.x), m(op.mask), m(op.y), op.p, dropoutMask(frame, rank, op, m(op.x).cols));
      return;
    case "dropoutBackward":
      kernels.dropoutBackward(m(op.dy), m(op.mask), m(op.dx), op.p);
      return;
    case "attention":
      kernels.attention(
        attentionRowsAt(frame, rank, op.geometry),
        m(op.q),
        m(op.k),
        m(op.v),
        m(op.out),
        m(op.lse),
        op.merge,
      );
      return;
    case "attentionBackward":
      kernels.attentionBackward(attentionRowsAt(frame, rank, op.geometry), {
        q: m(op.q),
        k: m(op.k),
        v: m(op.v),
        out: m(op.out),
        lse: m(op.lse),
        dout: m(op.dout),
        dq: m(op.dq),
        dk: m(op.dk),
        dv: m(op.dv),
        accumulateQ: op.accumulateQ,
        accumulateKv: op.accumulateKv,
      });
      return;
    case "batchMatmul":
      kernels.batchMatmul(op.which, attentionRowsAt(frame, rank, op.geometry), m(op.a), m(op.b), m(op.out));
      return;
    case "softmax":
      kernels.softmax(attentionRowsAt(frame, rank, op.geometry), m(op.x), m(op.y));
      return;
    case "softmaxBackward":
      kernels.softmaxBackward(m(op.y), m(op.dy), m(op.dx));
      return;
    case "embedding": {
      const rows = rowsAt(frame, rank, op.layout);
      const table = m(op.table);
      const positions =
        op.positions === undefined
          ? undefined
          : { table: m(op.positions), position: rows.position, scale: op.positionScale ?? 1 };
      kernels.embedding(table, m(op.out), idsOf(rows, tokens, op.shift), firstId(op.vocabAxis, table.rows), positions);
      return;
    }
    case "embeddingBackward": {
      const rows = rowsAt(frame, rank, op.layout);
      const dtable = m(op.dtable);
      const dpositions = op.dpositions === undefined ? undefined : m(op.dpositions);
      fresh(op.accumulate, dtable, dpositions);
      const positions = dpositions === undefined ? undefined : { dtable: dpositions, position: rows.position };
      kernels.embeddingBackward(
        m(op.dout),
        dtable,
        idsOf(rows, tokens, op.shift),
        firstId(op.vocabAxis, dtable.rows),
        positions,
      );
      return;
    }
    case "logitsMax":
      kernels.logitsMax(m(op.logits), m(op.rowMax));
      return;
    case "logitsSum": {
      const logits = m(op.logits);
      kernels.logitsSum(
        logits,
        m(op.rowMax),
        m(op.sums),
        idsOf(rowsAt(frame, rank, op.layout), tokens, op.shift),
        firstId(op.vocabAxis, logits.cols),
      );
      return;
    }
    case "mergeStats": {
      const part = Math.floor(vocab / mesh.pp);
      const ids = idsOf(rowsAt(frame, rank, op.layout), tokens, op.shift);
      const inB = Array.from(ids, (id) => Math.floor(id / part) === coordinateAlong(mesh, rank, "pp"));
      const [a, b] = [
        { max: m(op.maxA), sums: m(op.sumsA) },
        { max: m(op.maxB), sums: m(op.sumsB) },
      ];
      kernels.mergeStats(a, b, { max: m(op.rowMax), sums: m(op.sums) }, inB);
      return;
    }
    case "loss": {
      const loss = m(op.loss);
      const before = at(loss, 0, 0);
      kernels.lossSum(m(op.sums), loss, (op.scale * weightOf(frame)) / globalTokens);
      if (countsTokens(frame, rank, op.layout)) frame.run.loss += at(loss, 0, 0) - before;
      return;
    }
    case "lossBackward": {
      const logits = m(op.logits);
      const targets = idsOf(rowsAt(frame, rank, op.layout), tokens, op.shift);
      const buffers = { logits, rowMax: m(op.rowMax), sums: m(op.sums), dlogits: m(op.dlogits) };
      kernels.lossBackward(
        buffers,
        targets,
        firstId(op.vocabAxis, logits.cols),
        (op.scale * weightOf(frame) * frame.run.lossScale) / globalTokens,
      );
      return;
    }
    case "router": {
      const routing = m(op.routing);
      enterRouting(frame.run, routing, op.geometry);
      kernels.router(
        op.geometry,
        m(op.logits),
        m(op.probs),
        m(op.gates),
        routing,
        rowsAt(frame, rank, op.geometry.layout).token,
      );
      return;
    }
    case "routerBackward":
      kernels.routerBackward(m(op.gates), m(op.routing), m(op.dgates), m(op.dlogits));
      return;
    case "permute":
      if (op.perCopy === true)
        kernels.permuteEntries(routingAt(frame, rank, op.routing), op.geometry.topk, m(op.x), m(op.out));
      else kernels.permute(routingAt(frame, rank, op.routing), op.geometry.topk, m(op.x), m(op.out));
      return;
    case "permuteBackward":
      if (op.perCopy === true)
        kernels.permuteEntriesBackward(routingAt(frame, rank, op.routing), op.geometry.topk, m(op.dout), m(op.dx));
      else kernels.permuteBackward(routingAt(frame, rank, op.routing), op.geometry.topk, m(op.dout), m(op.dx));
      return;
    case "combine":
      // Rows that are weighted already come together as a row's copies' gradients do.
      if (op.gates === undefined)
        kernels.permuteBackward(routingAt(frame, rank, op.routing), op.geometry.topk, m(op.x), m(op.out));
      else kernels.combine(routingAt(frame, rank, op.routing), op.geometry.topk, m(op.x), m(op.gates), m(op.out));
      return;
    case "combineBackward":
      if (op.weighted === undefined)
        kernels.permute(routingAt(frame, rank, op.routing), op.geometry.topk, m(op.dout), m(op.dx));
      else
        kernels.combineBackward(routingAt(frame, rank, op.routing), op.geometry.topk, {
          dout: m(op.dout),
          x: m(op.weighted.x),
          gates: m(op.weighted.gates),
          dx: m(op.dx),
          dgates: m(op.weighted.dgates),
        });
      return;
    case "regroup":
      kernels.regroup(expertOrder(expertCounts(frame, rank, op.routing)), op.direction, m(op.x), m(op.out));
      return;
    case "scan":
      kernels.scan(
        { ...op, batch: wholeSequences(op.layout) },
        { x: m(op.x), perHead: m(op.perHead), decay: m(op.decay), skip: m(op.skip) },
        m(op.y),
      );
      return;
    case "scanBackward": {
      const gradients = { dx: m(op.dx), dperHead: m(op.dperHead), ddecay: m(op.ddecay), dskip: m(op.dskip) };
      fresh(op.accumulate, gradients.ddecay, gradients.dskip);
      const inputs = { x: m(op.x), perHead: m(op.perHead), decay: m(op.decay), skip: m(op.skip) };
      kernels.scanBackward({ ...op, batch: wholeSequences(op.layout) }, inputs, m(op.dy), gradients);
      return;
    }
    case "conv":
      kernels.conv(m(op.x), m(op.weight), m(op.y), wholeSequences(op.layout));
      return;
    case "convBackward":
      fresh(op.accumulate, m(op.dweight));
      kernels.convBackward(m(op.x), m(op.weight), m(op.dy), m(op.dx), m(op.dweight), wholeSequences(op.layout));
      return;
    case "copy":
    case "cast": {
      inheritRouting(frame.run, m(op.x), m(op.out));
      if (m(op.x).rows === m(op.out).rows) return kernels.copyInto(m(op.x), m(op.out));
      unflatten(flatten(m(op.x)), m(op.out));
      return;
    }
    case "fill": {
      const out = m(op.out);
      for (let i = 0; i < out.rows; i++) for (let j = 0; j < out.cols; j++) set(out, i, j, op.value);
      return;
    }
    case "gradNorm": {
      let sum = 0;
      for (const [i, id] of op.grads.entries()) {
        const grad = m(id);
        const length = grad.rows * grad.cols;
        const tail = op.tails?.[i] ?? null;
        // Elements from here on count with the tail's weight.
        const from =
          tail === null ? length : Math.min(length, Math.max(0, tail.from - placeInSlice(frame, rank, id, length)));
        sum += op.weights[i]! * kernels.sumOfSquares(grad, 0, from);
        if (tail !== null) sum += tail.weight * kernels.sumOfSquares(grad, from, length);
      }
      return set(m(op.out), 0, 0, sum);
    }
    case "squareSums": {
      const sums = { rows: m(op.rows), columns: m(op.columns) };
      kernels.squareSums(
        m(op.grad),
        sums,
        matrixPlace(frame, rank, op.grad),
        frame.run.optimizer.gradScale,
        op.tail ?? null,
      );
      return;
    }
    case "momentum":
      kernels.nesterov(m(op.grad), m(op.state), m(op.out), frame.run.optimizer);
      return;
    case "newtonSchulz":
      runNewtonSchulz(frame, rank, op);
      return;
    case "optimizer":
      for (const [i, master] of op.masters.entries()) {
        const [grad, settings] = [m(op.grads[i]!), settingsOf(frame, master)];
        const states = op.states[i]!.map(m);
        const sums = op.sums?.[i] ?? null;
        if (sums === null) kernels.optimizerStep(op.algorithm, grad, m(master), states, settings);
        else {
          const [rows, columns] = states;
          assert(
            rows !== undefined && columns !== undefined,
            "a matrix under adafactor keeps moments of rows and columns",
          );
          const added = { rows: m(sums.rows), columns: m(sums.columns) };
          const place = matrixPlace(frame, rank, op.grads[i]!);
          kernels.factoredStep(grad, m(master), { rows, columns }, added, place, settings);
        }
        if (op.params[i] !== master) unflatten(flatten(m(master)), m(op.params[i]!));
      }
      return;
    default:
      assert(false, `op ${(op satisfies never as Op).kind} has a kernel`);
  }
}

function weightOf({ run, place }: Frame): number {
  return run.microBatchWeights?.[place.microBatch] ?? 1;
}

/** The settings of the step for one parameter: vectors decay only where the step says so. */
function settingsOf(frame: Frame, master: BufferId): OptimizerSettings {
  const { optimizer } = frame.run;
  const slice = frame.place.block.buffers[master]!.param;
  assert(slice !== undefined, "what the optimizer updates names its parameter");
  return optimizer.decaysVectors || slice.columns > 1 ? optimizer : { ...optimizer, weightDecay: 0 };
}

/** Where in the rank's slice of its parameter a gradient of `length` elements starts: it is the slice, or a shard of it. */
function placeInSlice(frame: Frame, rank: number, grad: BufferId, length: number): number {
  const slice = frame.place.block.buffers[grad]!.param;
  assert(slice !== undefined, "a gradient names its parameter");
  const { mesh } = frame.run;
  return shardOffset(slice, mesh, rank, length, sliceIndices(slice, mesh, rank).length);
}

/** Where in its matrices the elements of a gradient lie: the rank's slice, or a shard of it. */
function matrixPlace(frame: Frame, rank: number, grad: BufferId): MatrixPlace {
  const decl = frame.place.block.buffers[grad]!;
  const slice = decl.param;
  assert(slice !== undefined, "a gradient names its parameter");
  const { mesh } = frame.run;
  const count = slice.experts === null ? 1 : slice.experts / mesh.ep;
  const allRows = slice.segments.reduce((sum, { rows }) => sum + rows, 0);
  const columns = slice.axis !== null && slice.dim === 1 ? slice.columns / axisSize(mesh, slice.axis) : slice.columns;
  const rows =
    slice.axis !== null && slice.dim === 0
      ? slice.segments.reduce((sum, segment) => sum + segment.rows / segment.parts, 0)
      : allRows;
  const length = decl.shape.reduce((product, n) => product * n, 1);
  const offset = shardOffset(slice, mesh, rank, length, rows * columns * count);
  return { rows, columns, count, allRows, allColumns: slice.columns, offset };
}

/** Whether this rank's rows enter the loss, where several ranks hold the same ones. */
function countsTokens(frame: Frame, rank: number, layout: Parameters<typeof rowsAt>[2]): boolean {
  const { mesh } = frame.run;
  if (!layout.tpSplit && coordinateAlong(mesh, rank, "tp") > 0) return false;
  if (layout.cp === "none") return coordinateAlong(mesh, rank, "cp") === 0;
  return layout.ulyssesSplit || coordinateAlong(mesh, rank, "cpUlysses") === 0;
}

function wholeSequences(layout: Parameters<typeof rowsAt>[2]): number {
  assert(layout.cp === "none" && !layout.tpSplit, "scans and convolutions see whole sequences");
  return layout.batch;
}

/** Rows are tokens and columns a split dim; or, for attention probabilities, rows are (sequence, head, query) and columns keys. */
function dropoutMask(
  frame: Frame,
  rank: number,
  op: Extract<Op, { kind: "dropout" }>,
  cols: number,
): (row: number, col: number) => boolean {
  const { mesh } = frame.run;
  const { geometry } = op;
  if (geometry === undefined) {
    const { token } = rowsAt(frame, rank, op.layout);
    const firstColumn = op.columnAxis === null ? 0 : coordinateAlong(mesh, rank, op.columnAxis) * cols;
    return (row, col) => dropoutKeeps(token[row]!, firstColumn + col, op.site, op.p);
  }
  const { token, position } = rowsAt(frame, rank, geometry.layout);
  const keys = attentionRowsAt(frame, rank, geometry).keys;
  const numQueries = position.length / geometry.layout.batch;
  const numKeys = keys.position.length / geometry.layout.batch;
  // Heads lie over tp, and within it over Ulysses ranks.
  const firstHead =
    geometry.heads * (coordinateAlong(mesh, rank, "tp") * mesh.ulysses + coordinateAlong(mesh, rank, "cpUlysses"));
  return (row, col) => {
    const sequence = Math.floor(row / (geometry.heads * numQueries));
    const head = firstHead + (Math.floor(row / numQueries) % geometry.heads);
    const query = token[sequence * numQueries + (row % numQueries)]!;
    return dropoutKeeps(query, head * geometry.layout.seqLen + keys.position[sequence * numKeys + col]!, op.site, op.p);
  };
}
