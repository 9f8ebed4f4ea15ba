// The `plan` section of a spec: what a search minimises and what it may choose. `meshwright plan` reads it; other commands check it and go on.

import type { FieldTable } from "./fields.ts";

export const planFields = {
  objective: {
    type: { kind: "choice", choices: ["time", "cost", "energy"] },
    fallback: "time",
    doc: "What is least in the best plan: seconds of a step, dollars or joules of a token",
  },
  fix: {
    type: { kind: "custom", shapes: "`{tp: 8, recompute: [none, full]}`" },
    fallback: "nothing",
    doc: "Values that dimensions of the search are held to, one or several each",
  },
  max: { type: { kind: "custom", shapes: "`{pp: 8}`" }, fallback: "nothing", doc: "Largest values" },
  min: { type: { kind: "custom", shapes: "`{dp: 2}`" }, fallback: "nothing", doc: "Smallest values" },
  forbid: {
    type: { kind: "custom", shapes: "`[offload, recompute=full]`" },
    fallback: "nothing",
    doc: "Dimensions that strategies do not use, or single values of them",
  },
  open: {
    type: { kind: "custom", shapes: "`[order, shard_group]`" },
    fallback: "nothing",
    doc: "Dimensions searched over every value, where the default is a sensible few",
  },
  engine: {
    type: { kind: "choice", choices: ["megatron", "megatron-bridge", "deepspeed", "torchtitan", "fsdp2"] },
    fallback: "none",
    doc: "Only strategies that this engine can run",
  },
  tokens: {
    type: { kind: "custom", shapes: "a count like 15T" },
    fallback: "none",
    doc: "Token budget: the answer says how long and how dear it is",
  },
  top: { type: { kind: "count", min: 1 }, fallback: "5", doc: "Layouts shown" },
} as const satisfies FieldTable;
