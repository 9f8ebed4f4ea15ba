// The plan room: what to do with a job - which strategy, why it wins, what would change it.

export * from "./baselines/index.ts";
export * from "./explain/index.ts";
