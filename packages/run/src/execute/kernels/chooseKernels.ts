// Which kernels a run takes: with `auto`, each class of ops is measured on a small case when a rank starts (some milliseconds in all).
//
// Fast kernels are left only where plain ones are clearly faster: a choice that noise could turn would give other sums on every start, and runs are to be
// repeatable bit for bit. Where the module is not built, `auto` is plain and says so.

import type { AttentionGeometry } from "@meshwright/core";
import type { AttentionRows } from "../../reference/kernels/attention.ts";
import type { Mat } from "../../reference/kernels/mat.ts";
import { firstStep } from "../../reference/kernels/optimizer.ts";
import { type KernelName, type Kernels, plainKernels } from "../../reference/kernels/plain.ts";
import { ArenaFull, type ArenaMats } from "../memory/index.ts";
import { wasmKernels } from "./wasmKernels.ts";

export const kernelModes = ["auto", "wasm", "plain"] as const;
export type KernelMode = (typeof kernelModes)[number];

export interface KernelChoice {
  readonly kernels: Kernels;
  /** By class of ops: what was measured (null: not) and taken. */
  readonly classes: readonly {
    readonly name: string;
    readonly kernels: readonly KernelName[];
    readonly taken: "plain" | "wasm";
    readonly plainSec: number | null;
    readonly wasmSec: number | null;
  }[];
  /** Why fast kernels are missing, where they are. */
  readonly note: string | null;
}

/** Plain kernels are taken when the fast ones need more than this many times their time. */
const margin = 1.5;
const repeats = 3;

interface KernelClass {
  readonly name: string;
  readonly kernels: readonly KernelName[];
  /** One small case; `mat` allocates operands. */
  readonly probe: (mat: (rows: number, cols: number) => Mat) => (kernels: Kernels) => void;
}

const classes: readonly KernelClass[] = [
  {
    name: "products",
    kernels: ["matmul", "groupedMatmul", "batchMatmul", "biasGrad"],
    probe: (mat) => {
      const [a, b, out] = [mat(48, 64), mat(64, 64), mat(48, 64)];
      return (kernels) => kernels.matmul(a, b, out, { transA: false, transB: true, accumulate: false });
    },
  },
  {
    name: "attention",
    kernels: ["attention", "attentionBackward"],
    probe: (mat) => {
      const numTokens = 32;
      const [q, k, v, out, lse] = [
        mat(numTokens, 32),
        mat(numTokens, 32),
        mat(numTokens, 32),
        mat(numTokens, 32),
        mat(numTokens, 2),
      ];
      const rows = probeRows(numTokens);
      return (kernels) => kernels.attention(rows, q, k, v, out, lse, false);
    },
  },
  {
    name: "elementwise",
    kernels: [
      "activation",
      "activationBackward",
      "addTo",
      "multiply",
      "sigmoidGate",
      "dropoutBackward",
      "headConcat",
      "headSplit",
      "rope",
      "copyInto",
      "clear",
    ],
    probe: (mat) => {
      const [x, y] = [mat(16, 256), mat(16, 128)];
      return (kernels) => kernels.activation("silu", true, x, y);
    },
  },
  {
    name: "rows",
    kernels: [
      "norm",
      "normBackward",
      "embedding",
      "embeddingBackward",
      "logitsMax",
      "logitsSum",
      "lossBackward",
      "softmax",
      "softmaxBackward",
    ],
    probe: (mat) => {
      const [x, weight, y] = [mat(32, 128), mat(1, 128), mat(32, 128)];
      return (kernels) => kernels.norm("rmsnorm", x, weight, undefined, y, 0);
    },
  },
  {
    name: "routed rows",
    kernels: [
      "permute",
      "permuteBackward",
      "combine",
      "combineBackward",
      "regroup",
      "expertBias",
      "expertBiasBackward",
    ],
    probe: (mat) => {
      const [x, out] = [mat(32, 128), mat(32, 128)];
      const routing = { copies: Int32Array.from({ length: 32 }, (_, i) => (i * 7) % 32), counts: [32] };
      return (kernels) => kernels.permuteBackward(routing, 1, x, out);
    },
  },
  {
    name: "optimizer",
    kernels: ["optimizerStep"],
    probe: (mat) => {
      const [grad, master, m, v] = [mat(1, 4096), mat(1, 4096), mat(1, 4096), mat(1, 4096)];
      return (kernels) => kernels.optimizerStep("adamw", grad, master, [m, v], firstStep);
    },
  },
];

/**
 * The kernels of one rank. `wasm` throws when the module was not built.
 * @param nowSec a clock.
 */
export function chooseKernels(mode: KernelMode, mats: ArenaMats, nowSec: () => number): KernelChoice {
  if (mode === "plain") return plainChoice(null);
  let fast: Kernels;
  try {
    fast = wasmKernels(mats.arena);
  } catch (error) {
    if (mode === "wasm" || !(error instanceof Error) || error instanceof ArenaFull) throw error;
    return plainChoice(error.message);
  }
  let kernels: Kernels = plainKernels;
  const taken = classes.map(({ name, kernels: names, probe }) => {
    const [plainSec, wasmSec] = mode === "wasm" ? [null, null] : measure(probe, fast, mats, nowSec);
    const isFast = plainSec === null || wasmSec === null || wasmSec <= margin * plainSec;
    if (isFast) kernels = { ...kernels, ...Object.fromEntries(names.map((each) => [each, fast[each]])) };
    return { name, kernels: names, taken: isFast ? ("wasm" as const) : ("plain" as const), plainSec, wasmSec };
  });
  return { kernels, classes: taken, note: null };
}

function plainChoice(note: string | null): KernelChoice {
  return {
    kernels: plainKernels,
    classes: classes.map(({ name, kernels }) => ({ name, kernels, taken: "plain", plainSec: null, wasmSec: null })),
    note,
  };
}

/** Best times of a class's case: plain, fast. */
function measure(
  probe: KernelClass["probe"],
  fast: Kernels,
  mats: ArenaMats,
  nowSec: () => number,
): readonly [plainSec: number, wasmSec: number] {
  const made: Mat[] = [];
  const run = probe((rows, cols) => {
    const m = mats.allocate(rows, cols, 0);
    for (let i = 0; i < rows * cols; i++) m.data[m.offset + i] = ((i * 37) % 101) / 101;
    made.push(m);
    return m;
  });
  const best = [plainKernels, fast].map((kernels) => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < repeats; i++) {
      const start = nowSec();
      run(kernels);
      least = Math.min(least, nowSec() - start);
    }
    return least;
  });
  for (const m of made) mats.release(m);
  return [best[0]!, best[1]!];
}

function probeRows(numTokens: number): AttentionRows {
  const list = {
    position: Int32Array.from({ length: numTokens }, (_, i) => i),
    sequence: new Int32Array(numTokens),
  };
  // The kernels read sizes and masks of a geometry; its layout is for the program.
  const geometry = {
    ...{ heads: 2, kvHeads: 2, headDim: 16, vHeadDim: 16, causal: true, window: 0, step: 0 },
    layout: { batch: 1, seqLen: numTokens },
  } as unknown as AttentionGeometry;
  return { geometry, queries: list, keys: list };
}

/** One line per class, for people. */
export function kernelChoiceText({ classes: taken, note }: Pick<KernelChoice, "classes" | "note">): string {
  const lines = taken.map(({ name, taken: how, plainSec, wasmSec }) => {
    const times =
      plainSec === null || wasmSec === null
        ? ""
        : `  (plain ${micros(plainSec)}, wasm ${micros(wasmSec)}: ${(plainSec / wasmSec).toFixed(1)}x)`;
    return `${name.padEnd(12)} ${how}${times}`;
  });
  return [...(note === null ? [] : [note]), ...lines].join("\n");
}

function micros(sec: number): string {
  return `${(sec * 1e6).toFixed(1)} us`;
}
