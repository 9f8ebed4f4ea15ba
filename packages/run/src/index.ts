// Executes programs with real numbers. reference/ is slow and exact, the proof that what is priced is right; execute/ runs the same programs for real, a rank
// for each thread or process.

export * from "./execute/index.ts";
export * from "./reference/index.ts";
