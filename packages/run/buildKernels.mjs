// Compiles assembly/ to dist/kernels.wasm, when a source is newer than it. Part of `npm run build`.

import { mkdirSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const folder = fileURLToPath(new URL(".", import.meta.url));
const sources = readdirSync(`${folder}assembly`).filter((name) => name.endsWith(".ts"));
const changed = Math.max(
  ...[...sources.map((name) => `assembly/${name}`), "buildKernels.mjs"].map((name) => statSync(folder + name).mtimeMs),
);
const built = statSync(`${folder}dist/kernels.wasm`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (built < changed) {
  mkdirSync(`${folder}dist`, { recursive: true });
  const { error, stderr } = await asc.main([
    `${folder}assembly/index.ts`,
    ...["--outFile", `${folder}dist/kernels.wasm`, "-O3", "--noAssert", "--runtime", "stub", "--memoryBase", "64"],
    ...["--enable", "simd", "--enable", "threads", "--enable", "bulk-memory"],
    // The memory comes from outside: shared, of any size.
    ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
  ]);
  if (error) {
    console.error(stderr.toString());
    console.error(`assembly: ${error.message}`);
    process.exitCode = 1;
  }
}
