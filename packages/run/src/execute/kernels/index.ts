// Fast kernels, and which of them a run takes.

export { chooseKernels, type KernelChoice, type KernelMode, kernelChoiceText } from "./chooseKernels.ts";
export { wasmKernels } from "./wasmKernels.ts";
export { scratchBytes } from "./wasmModule.ts";
