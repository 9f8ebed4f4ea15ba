// Executes programs with real numbers. Its first room is the reference: slow, exact, and the proof that what is priced is right.

export * from "./reference/index.ts";
