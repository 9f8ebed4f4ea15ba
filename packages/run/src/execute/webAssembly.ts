// The part of the WebAssembly interface that is used here. It is neither in the language's library nor in Node's types, only in those of browsers.

export interface WasmMemory {
  /** Of a shared memory: a SharedArrayBuffer, another one after every growth. */
  readonly buffer: ArrayBufferLike;
}

interface WasmInterface {
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: boolean;
  }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
}

/** Every Node and every browser that is supported has it. */
export const wasm = (globalThis as unknown as { readonly WebAssembly: WasmInterface }).WebAssembly;

export const pageBytes = 65_536;
