import { defineConfig } from "vitest/config";

export default defineConfig({
  ssr: { resolve: { conditions: ["meshwright-source"] } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "scripts/**/*.test.ts"],
    pool: "threads",
    isolate: false,
    testTimeout: 60_000,
    reporters: ["default", "./scripts/countReporter.mjs"],
  },
});
