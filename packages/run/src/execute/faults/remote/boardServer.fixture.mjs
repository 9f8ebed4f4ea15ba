// Starts the board's thread from the TypeScript sources, for tests: Node 20 loads no .ts file as a worker, even with a loader.
const { tsImport } = await import("tsx/esm/api");
await tsImport("./boardServer.ts", import.meta.url);
