const { tsImport } = await import("tsx/esm/api");
await tsImport("./rank.fixture.ts", import.meta.url);
