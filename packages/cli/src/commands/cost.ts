// `meshwright cost`: one question to the cost model (a GEMM, an attention call, a collective...), and how the answer changes along one
// of its sizes, as a curve.

import {
  type ClusterSpec,
  clusterFromShorthand,
  type DeviceSpec,
  deviceByName,
  stridedPlacement,
} from "@meshwright/core/cluster";
import type { AttentionImpl, CollectiveOp, Cost, GemmDType } from "@meshwright/core/cost";
import { kernelCost } from "@meshwright/core/cost/kernels";
import { collectiveCost } from "@meshwright/core/cost/network";
import { type CurvePoint, drawCurve } from "@meshwright/core/report";
import {
  type Finding,
  formatBytes,
  formatCount,
  formatFlopRate,
  formatRate,
  formatSeconds,
  InputError,
  parseBytes,
} from "@meshwright/core/units";
import { type Command, Option } from "commander";
import type { Io } from "../io.ts";
import type { DefineCommand } from "../main.ts";

const examples = `
Examples:
  meshwright cost gemm --m 8192 --n 8192 --k 4096 --device h100
  meshwright cost gemm --m 8192 --n 8192 --k 4096 --device h100 --plot m
  meshwright cost attention --seq 8192 --heads 64 --kv-heads 8 --phase backward --device h100
  meshwright cost memory --size 1GiB --device a100
  meshwright cost allreduce --size 1GiB --ranks 64 --cluster 64xh100-sxm --plot
  meshwright cost alltoall --size 64MiB --ranks 16 --cluster 2x8xh100 --json`;

/** One question: its sizes by name, the answer for any of them, and what the answer says besides seconds. */
interface Question {
  readonly title: string;
  readonly sizes: Readonly<Record<string, number>>;
  /** Size that --plot varies unless told otherwise. */
  readonly plotted: string;
  readonly price: (sizes: Readonly<Record<string, number>>) => Cost;
  readonly rate: (
    sizes: Readonly<Record<string, number>>,
    durationSec: number,
  ) => { readonly value: number; readonly text: string };
  readonly isBytes: boolean;
}

export const define: DefineCommand = (command, io) => {
  command.addHelpText("after", examples);
  const add = (
    name: string,
    summary: string,
    options: (sub: Command) => void,
    ask: (read: OptionReader) => Question,
  ) => {
    const sub = command.command(name).summary(summary).description(summary);
    options(sub);
    sub
      .option("--plot [size]", "draw the curve over one of its sizes")
      .option("--json", "print as JSON; with --plot, all points")
      .action((values: Readonly<Record<string, unknown>>) => answer(ask, values, io));
  };
  const device = (sub: Command) => sub.option("--device <name>", "device of the catalogue", "h100");
  const sizes = (sub: Command, list: readonly (readonly [string, string, string])[]) => {
    for (const [flag, doc, fallback] of list) sub.option(`--${flag} <n>`, doc, fallback);
  };
  add(
    "gemm",
    "one matrix multiplication C[m,n] = A[m,k] B[k,n]",
    (sub) => {
      device(sub);
      sizes(sub, [
        ["m", "rows", "4096"],
        ["n", "columns", "4096"],
        ["k", "inner size", "4096"],
        ["batch", "how many at once", "1"],
      ]);
      sub.addOption(new Option("--dtype <format>", "number format").choices(gemmFormats).default("bf16"));
      sub.addOption(
        new Option("--layout <letters>", "TN forward, NN data gradient, NT weight gradient")
          .choices(["TN", "NN", "NT"])
          .default("TN"),
      );
    },
    gemm,
  );
  add(
    "grouped-gemm",
    "the experts of one MoE layer in one call",
    (sub) => {
      device(sub);
      sizes(sub, [
        ["groups", "experts", "8"],
        ["rows", "rows over all experts", "16384"],
        ["max-rows", "rows of the fullest expert (0 = an even share)", "0"],
        ["n", "columns", "4096"],
        ["k", "inner size", "4096"],
      ]);
      sub.addOption(new Option("--dtype <format>", "number format").choices(gemmFormats).default("bf16"));
    },
    groupedGemm,
  );
  add(
    "attention",
    "one fused attention call",
    (sub) => {
      device(sub);
      sizes(sub, [
        ["seq", "tokens of a sequence", "4096"],
        ["batch", "sequences", "1"],
        ["heads", "query heads", "32"],
        ["kv-heads", "key-value heads (0 = as many as heads)", "0"],
        ["head-dim", "width of a head", "128"],
        ["window", "sliding window in tokens (0 = none)", "0"],
      ]);
      sub.addOption(new Option("--phase <phase>", "direction").choices(["forward", "backward"]).default("forward"));
      sub.addOption(
        new Option("--impl <kernel>", "kernel")
          .choices(["auto", "flash1", "flash2", "flash3", "flash4", "cudnn"])
          .default("auto"),
      );
      sub.option("--full", "every query meets every key (default: causal)");
    },
    attention,
  );
  add(
    "memory",
    "anything bound by memory traffic",
    (sub) => {
      device(sub);
      sub
        .option("--size <bytes>", "bytes read plus written, such as 1GiB", "1GiB")
        .option("--kernels <n>", "launches", "1");
    },
    memory,
  );
  for (const [name, op, doc] of collectives) {
    add(
      name,
      doc,
      (sub) => {
        sub
          .option("--cluster <shorthand>", "where it runs", "64xh100-sxm")
          .option("--size <bytes>", sizeMeaning[op], "256MiB")
          .option("--ranks <n>", "ranks of the group (default: all devices)")
          .option("--stride <n>", "devices between neighbours of the group", "1");
        sub.addOption(
          new Option("--algorithm <name>", "algorithm")
            .choices(["auto", "ring", "tree", "hierarchical", "inNetwork", "direct"])
            .default("auto"),
        );
      },
      (read) => collective(op, read),
    );
  }
};

const gemmFormats: readonly GemmDType[] = [
  "bf16",
  "fp16",
  "tf32",
  "fp32",
  "fp8",
  "fp8_block",
  "mxfp8",
  "nvfp4",
  "mxfp4",
  "int8",
];

const collectives: readonly (readonly [string, CollectiveOp, string])[] = [
  ["allreduce", "allReduce", "sum over all ranks, result everywhere"],
  ["allgather", "allGather", "every rank gets all shards"],
  ["reducescatter", "reduceScatter", "sum over all ranks, one shard each"],
  ["alltoall", "allToAll", "every rank sends a piece to every other"],
  ["broadcast", "broadcast", "one rank to all"],
  ["sendrecv", "sendRecv", "one message between two ranks"],
];

const sizeMeaning: Readonly<Record<CollectiveOp, string>> = {
  allReduce: "buffer of one rank",
  allGather: "gathered result",
  reduceScatter: "whole input of one rank",
  allToAll: "whole send buffer of one rank",
  broadcast: "message",
  sendRecv: "message",
};

/** Options of a question, typed, with all findings kept. */
class OptionReader {
  readonly findings: Finding[] = [];
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.values = values;
  }

  text(key: string): string {
    return String(this.values[key]);
  }

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== false;
  }

  count(key: string, min = 1): number {
    const value = Number(this.values[key]);
    if (Number.isSafeInteger(value) && value >= min) return value;
    this.findings.push({
      path: `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`,
      message: `Expected a whole number of at least ${min}, got "${String(this.values[key])}"`,
    });
    return min;
  }

  /** Null when it failed; the finding is kept. */
  parse<T>(key: string, parser: (text: string, path: string) => T): T | null {
    try {
      return parser(this.text(key), `--${key}`);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.findings.push(...error.findings);
      return null;
    }
  }

  /** Throws all findings, if any. */
  finish(): void {
    if (this.findings.length > 0) throw new InputError(this.findings);
  }
}

type Sizes = Readonly<Record<string, number>>;

function required<T>(read: OptionReader, value: T | null): T {
  read.finish();
  // finish() throws whenever a parse failed, and only then is the value null.
  return value as T;
}

const flopRate = (flops: number, durationSec: number) => ({
  value: flops / durationSec,
  text: formatFlopRate(flops / durationSec),
});
const byteRate = (bytes: number, durationSec: number, name: string) => ({
  value: bytes / durationSec,
  text: `${formatRate(bytes / durationSec)} ${name}`,
});

function gemm(read: OptionReader): Question {
  const parsed = read.parse("device", deviceByName);
  const sizes = { m: read.count("m"), n: read.count("n"), k: read.count("k"), batch: read.count("batch") };
  const device: DeviceSpec = required(read, parsed);
  const dtype = read.text("dtype") as GemmDType;
  const layout = read.text("layout") as "TN" | "NN" | "NT";
  return {
    title: `gemm ${dtype} ${layout} on ${device.name}`,
    sizes,
    plotted: "m",
    isBytes: false,
    price: (s) =>
      kernelCost(device, {
        kind: "gemm",
        m: s["m"]!,
        n: s["n"]!,
        k: s["k"]!,
        batch: s["batch"]!,
        dtype,
        layout,
        accumulate: false,
        outDtype: "bf16",
        includesQuantisation: false,
        warmCache: false,
      }),
    rate: (s, sec) => flopRate(2 * s["m"]! * s["n"]! * s["k"]! * s["batch"]!, sec),
  };
}

function groupedGemm(read: OptionReader): Question {
  const parsed = read.parse("device", deviceByName);
  const sizes = { groups: read.count("groups"), rows: read.count("rows"), n: read.count("n"), k: read.count("k") };
  const maxRows = read.count("maxRows", 0);
  const device: DeviceSpec = required(read, parsed);
  const dtype = read.text("dtype") as GemmDType;
  return {
    title: `grouped gemm ${dtype} on ${device.name}`,
    sizes,
    plotted: "rows",
    isBytes: false,
    price: (s) =>
      kernelCost(device, {
        kind: "groupedGemm",
        groups: s["groups"]!,
        totalRows: s["rows"]!,
        maxRows: Math.max(maxRows, Math.ceil(s["rows"]! / s["groups"]!)),
        n: s["n"]!,
        k: s["k"]!,
        dtype,
        layout: "TN",
        accumulate: false,
      }),
    rate: (s, sec) => flopRate(2 * s["rows"]! * s["n"]! * s["k"]!, sec),
  };
}

function attention(read: OptionReader): Question {
  const parsed = read.parse("device", deviceByName);
  const sizes = { seq: read.count("seq"), batch: read.count("batch"), heads: read.count("heads") };
  const kvHeads = read.count("kvHeads", 0) || sizes.heads;
  const headDim = read.count("headDim");
  const window = read.count("window", 0);
  if (sizes.heads % kvHeads !== 0)
    read.findings.push({
      path: "--kv-heads",
      message: `${kvHeads} key-value heads do not divide ${sizes.heads} heads`,
    });
  const device: DeviceSpec = required(read, parsed);
  const phase = read.text("phase") as "forward" | "backward";
  const impl = read.text("impl") as AttentionImpl;
  const full = read.has("full");
  const pairsOf = (seq: number) => {
    const reach = window > 0 ? Math.min(window, seq) : seq;
    return full ? seq * reach : reach * seq - (reach * (reach - 1)) / 2;
  };
  return {
    title: `attention ${phase} ${impl}${full ? "" : " causal"}, ${kvHeads} kv heads of ${headDim} on ${device.name}`,
    sizes,
    plotted: "seq",
    isBytes: false,
    price: (s) =>
      kernelCost(device, {
        kind: "attention",
        phase,
        batch: s["batch"]!,
        seqQ: s["seq"]!,
        seqKv: s["seq"]!,
        heads: s["heads"]!,
        kvHeads: Math.min(kvHeads, s["heads"]!),
        headDim,
        vHeadDim: headDim,
        pairs: pairsOf(s["seq"]!),
        window,
        dtype: "bf16",
        impl,
      }),
    // Two products forward; backward runs five (flash attention computes the scores again).
    rate: (s, sec) =>
      flopRate((phase === "forward" ? 4 : 10) * s["batch"]! * s["heads"]! * headDim * pairsOf(s["seq"]!), sec),
  };
}

function memory(read: OptionReader): Question {
  const parsed = read.parse("device", deviceByName);
  const size = read.parse("size", parseBytes);
  const numKernels = read.count("kernels");
  const device: DeviceSpec = required(read, parsed);
  return {
    title: `memory traffic on ${device.name}`,
    sizes: { size: required(read, size) },
    plotted: "size",
    isBytes: true,
    price: (s) => kernelCost(device, { kind: "memory", sizeBytes: s["size"]!, numKernels, access: "stream" }),
    rate: (s, sec) => byteRate(s["size"]!, sec, "moved"),
  };
}

function collective(op: CollectiveOp, read: OptionReader): Question {
  const parsed = read.parse("cluster", clusterFromShorthand);
  const size = read.parse("size", parseBytes);
  const stride = read.count("stride");
  const asked = read.has("ranks") ? read.count("ranks") : undefined;
  const cluster: ClusterSpec = required(read, parsed);
  const ranks = asked ?? (op === "sendRecv" ? 2 : Math.floor(cluster.numDevices / stride));
  const reach = (ranks - 1) * stride + 1;
  if (reach > cluster.numDevices)
    throw new InputError({
      path: "--ranks",
      message: `${ranks} ranks ${stride} apart reach device ${reach}, but cluster "${cluster.name}" has ${cluster.numDevices}`,
    });
  const { spans } = stridedPlacement(cluster, { start: 0, stride, size: ranks });
  const algorithm = read.text("algorithm") as "auto";
  // nccl-tests' bus bandwidth: bytes each link carries, whatever the collective.
  const busFactor =
    op === "allReduce" ? (2 * (ranks - 1)) / ranks : op === "broadcast" || op === "sendRecv" ? 1 : (ranks - 1) / ranks;
  return {
    title: `${op} over ${ranks} ranks (${spans.join(" / ")} by level) of ${cluster.name}`,
    sizes: { size: required(read, size) },
    plotted: "size",
    isBytes: true,
    price: (s) =>
      collectiveCost(cluster, { kind: "collective", op, sizeBytes: s["size"]!, spans, algorithm, backend: "nccl" }),
    rate: (s, sec) => byteRate(s["size"]! * busFactor, sec, "bus bandwidth"),
  };
}

function answer(ask: (read: OptionReader) => Question, values: Readonly<Record<string, unknown>>, io: Io): void {
  const question = ask(new OptionReader(values));
  const plot = values["plot"];
  if (plot === undefined) {
    if (values["json"] === true) {
      io.out(JSON.stringify({ title: question.title, ...pointJson(question, question.sizes) }, null, 2));
      return;
    }
    const cost = question.price(question.sizes);
    io.out(
      `${io.paint.bold(formatSeconds(cost.durationSec))}  ${question.rate(question.sizes, cost.durationSec).text}  ${io.paint.dim(`± ${(cost.relStd * 100).toFixed(0)} %, priced by ${cost.source}`)}`,
    );
    io.out(io.paint.dim(`${question.title}: ${sizesText(question)}`));
    return;
  }
  const swept = plot === true ? question.plotted : String(plot);
  if (!(swept in question.sizes))
    throw new InputError({
      path: "--plot",
      message: `"${swept}" is not a size of this question`,
      hint: `use ${Object.keys(question.sizes).join(", ")}`,
    });
  const points = sweep(question, swept);
  if (values["json"] === true) io.out(JSON.stringify({ title: question.title, swept, points }, null, 2));
  else plotCurve(question, swept, points, io);
}

interface Point {
  readonly sizes: Sizes;
  readonly duration_s: number;
  readonly rate: number;
  readonly source: string;
  readonly relative_std: number;
}

function pointJson(question: Question, sizes: Sizes): Point {
  const cost = question.price(sizes);
  return {
    sizes,
    duration_s: cost.durationSec,
    rate: question.rate(sizes, cost.durationSec).value,
    source: cost.source,
    relative_std: cost.relStd,
  };
}

/** From a 64th of the given size to 16 times it, four points per doubling; whole numbers. */
function sweep(question: Question, swept: string): readonly Point[] {
  const centre = question.sizes[swept]!;
  const values = new Set<number>();
  for (let step = -24; step <= 16; step++) values.add(Math.max(1, Math.round(centre * 2 ** (step / 4))));
  return [...values].map((value) => pointJson(question, { ...question.sizes, [swept]: value }));
}

function plotCurve(question: Question, swept: string, points: readonly Point[], io: Io): void {
  const formatX = (value: number) =>
    question.isBytes ? formatBytes(Math.round(value)) : formatCount(Math.round(value));
  const base = { width: Math.max(30, Math.min(io.width - 24, 90)), height: 9, formatX };
  const seconds: CurvePoint[] = points.map((point) => ({ x: point.sizes[swept]!, y: point.duration_s }));
  const rates: CurvePoint[] = points.map((point) => ({ x: point.sizes[swept]!, y: point.rate }));
  io.out(io.paint.bold(question.title));
  io.out(io.paint.dim(sizesText(question)));
  io.out(drawCurve(seconds, { ...base, formatY: formatSeconds, title: `seconds over ${swept}` }).join("\n"));
  const formatY = question.isBytes ? formatRate : formatFlopRate;
  io.out(drawCurve(rates, { ...base, formatY, title: `rate over ${swept}` }).join("\n"));
}

function sizesText(question: Question): string {
  return Object.entries(question.sizes)
    .map(([name, value]) => `${name} ${question.isBytes ? formatBytes(value) : value}`)
    .join(", ");
}
