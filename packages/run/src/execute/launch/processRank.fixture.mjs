// Starts a rank's process from the TypeScript sources, for tests.
const { tsImport } = await import("tsx/esm/api");
await tsImport("./processRank.ts", import.meta.url);
