const { tsImport } = await import("tsx/esm/api");
await tsImport("./ioThread.ts", import.meta.url);
