// The kernels of packages/run/assembly, compiled once per thread; each user makes an instance over the memory it works in.

import { readFileSync } from "node:fs";
import { type WasmMemory, wasm } from "./webAssembly.ts";

type Fn = (...args: number[]) => void;

export interface KernelExports {
  readonly gemm: Fn;
  readonly peakLoop: (rounds: number) => number;
  readonly setScratch: (address: number) => void;
  readonly attentionForward: Fn;
  readonly attentionBackward: Fn;
  readonly activation: Fn;
  readonly activationBackward: Fn;
  readonly adamw: Fn;
  readonly columnSums: Fn;
  readonly combineRows: Fn;
  readonly copy: Fn;
  readonly dotRow: (...args: number[]) => number;
  readonly masked: Fn;
  readonly maximum: Fn;
  readonly maximumBoth: Fn;
  readonly momentum: Fn;
  readonly normRows: Fn;
  readonly normRowsBackward: Fn;
  readonly rowExpSums: Fn;
  readonly rowMaxima: Fn;
  readonly scaledRow: Fn;
  readonly sigmoidGate: Fn;
  readonly softmaxBackward: Fn;
  readonly softmaxMasked: Fn;
  readonly softmaxRows: Fn;
  readonly sum: Fn;
  readonly sumBoth: Fn;
}

let compiled: object | undefined;

/** Throws when the module was not built (`npm run build`). */
export function kernelExports(memory: WasmMemory): KernelExports {
  compiled ??= new wasm.Module(readFileSync(new URL("../../dist/kernels.wasm", import.meta.url)));
  const instance = new wasm.Instance(compiled, {
    env: {
      memory,
      abort: () => {
        throw new Error("a kernel failed");
      },
    },
  });
  return instance.exports as unknown as KernelExports; // assembly/index.ts exports these
}
