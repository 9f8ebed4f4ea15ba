// Questions about one kernel on one device.

import type { DeviceSpec } from "@meshwright/core/cluster";
import type { AttentionImpl, GemmDType } from "@meshwright/core/cost";
import { kernelCost } from "@meshwright/core/cost/kernels";
import { parseBytes } from "@meshwright/core/units";
import { readDevice } from "./machine.ts";
import { byteRate, flopRate, type OptionReader, type Question, required } from "./question.ts";

export function gemm(read: OptionReader): Question {
  const parsed = readDevice(read);
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

export function groupedGemm(read: OptionReader): Question {
  const parsed = readDevice(read);
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
        outDtype: "bf16",
      }),
    rate: (s, sec) => flopRate(2 * s["rows"]! * s["n"]! * s["k"]!, sec),
  };
}

export function attention(read: OptionReader): Question {
  const parsed = readDevice(read);
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

export function memory(read: OptionReader): Question {
  const parsed = readDevice(read);
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
