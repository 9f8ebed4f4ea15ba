// `meshwright cost`: one question to the cost model (a GEMM, an attention call, a collective...), and how the answer changes along one
// of its sizes, as a curve.

import { gemmDTypes } from "@meshwright/core/cost";
import { type Command, Option } from "commander";
import type { DefineCommand } from "../main.ts";
import { answer } from "./cost/answer.ts";
import { collective, collectives, sizeMeaning } from "./cost/collectives.ts";
import { attention, gemm, groupedGemm, memory } from "./cost/kernels.ts";
import type { OptionReader, Question } from "./cost/question.ts";

const examples = `
Examples:
  meshwright cost gemm --m 8192 --n 8192 --k 4096 --device h100
  meshwright cost gemm --m 8192 --n 8192 --k 4096 --device h100 --plot m
  meshwright cost attention --seq 8192 --heads 64 --kv-heads 8 --phase backward --device h100
  meshwright cost memory --size 1GiB --device a100
  meshwright cost allreduce --size 1GiB --ranks 64 --cluster 64xh100-sxm --plot
  meshwright cost alltoall --size 64MiB --ranks 16 --cluster 2x8xh100 --json`;

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
      .option("--calibration <file>", "measurements of this machine (docs/calibration.md)")
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
      sub.addOption(new Option("--dtype <format>", "number format").choices(gemmDTypes).default("bf16"));
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
      sub.addOption(new Option("--dtype <format>", "number format").choices(gemmDTypes).default("bf16"));
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
