// A run file in words, as far as it can be read without the library: for headings and menus.

import { isSection, type RunFile, type Section } from "./runFile.ts";

export function modelText({ name, model }: RunFile): string {
  if (name !== undefined) return name;
  if (typeof model === "string") return model;
  const given = model["name"] ?? model["_name_or_path"] ?? model["model_type"];
  return typeof given === "string" && given !== "" ? given : "own model";
}

export function clusterText({ cluster }: RunFile): string {
  if (typeof cluster === "string") return cluster;
  const { device, nodes, devices } = cluster;
  const kind = typeof device === "string" ? device : "own device";
  if (typeof devices === "number") return `${devices} x ${kind}`;
  return typeof nodes === "number" ? `${nodes} nodes of ${kind}` : kind;
}

export function workloadText({ workload }: RunFile): string {
  const { seq, global_batch: batch, global_batch_tokens: tokens } = workload;
  const amount = batch !== undefined ? `${batch} sequences` : tokens !== undefined ? `${tokens} tokens` : "";
  return [amount, seq === undefined ? "" : `of ${seq} tokens`].filter((part) => part !== "").join(" ");
}

const axes = ["tp", "cp", "pp", "dp", "ep"] as const;

export function strategyText({ strategy }: RunFile): string {
  return strategy === undefined ? "no strategy picked" : layoutOf(strategy);
}

function layoutOf(strategy: Section): string {
  const sizes = axes.filter((axis) => strategy[axis] !== undefined && strategy[axis] !== 1);
  const words = sizes.map((axis) => `${axis} ${String(strategy[axis])}`);
  const { micro_batch: microBatch, sharding, recompute } = strategy;
  if (microBatch !== undefined) words.push(`mb ${String(microBatch)}`);
  if (typeof sharding === "string") words.push(sharding);
  const kept = isSection(recompute) ? recompute["kind"] : recompute;
  if (typeof kept === "string" && kept !== "none") words.push(`recompute ${kept}`);
  return words.join(" · ");
}
