// The figures of docs/heterogeneous.md: the two examples of mixed clusters under several placements, predicted.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { predictStep, type StepResult } from "../packages/core/src/simulate/index.ts";
import { resolveSpec } from "../packages/core/src/spec/index.ts";
import { formatSeconds } from "../packages/core/src/units/index.ts";

const examples = fileURLToPath(new URL("../examples", import.meta.url));

type Description = Readonly<Record<string, unknown>> & { readonly strategy: Readonly<Record<string, unknown>> };

interface Islands extends Description {
  readonly cluster: { readonly links: readonly Readonly<Record<string, unknown>>[] };
}

const read = <T>(name: string): T => parse(readFileSync(`${examples}/${name}`, "utf8")) as T;

function predicted(description: Description, strategy: Readonly<Record<string, unknown>>): StepResult {
  const changed = { ...description.strategy, ...strategy };
  const kept = Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined));
  const result = predictStep(resolveSpec({ ...description, strategy: kept }, { load: () => undefined }));
  if (result.kind !== "ok") throw new Error(`A job of docs/heterogeneous.md does not fit: ${JSON.stringify(strategy)}`);
  return result;
}

/** Two generations of devices: who takes part, what is balanced. */
function generations(): string {
  const job = read<Description>("mixed-a100-h100.yaml");
  const even = { stage_layers: undefined };
  const replicas = { order: "tp-cp-pp-dp" };
  const rows: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ["the A100 group alone", { group_order: ["old"] }],
    ["the H100 group alone", { group_order: ["new"] }],
    ["pipeline over both, even layers", even],
    ["pipeline over both, balanced", {}],
    ["replicas over both, even layers, equal shares", { ...replicas, ...even }],
    ["replicas over both, balanced layers, equal shares", replicas],
    ["replicas over both, both balanced", { ...replicas, replica_shares: "balanced" }],
  ];
  const results = rows.map(([, strategy]) => predicted(job, strategy));
  const lines = results.map(({ stepSec, settled }, i) => {
    const layers = settled?.stageLayers?.join("-") ?? "8-8-8-8";
    const shares = settled?.replicaShares?.join("-") ?? "equal";
    return `| ${rows[i]![0]} | ${layers} | ${shares} | ${formatSeconds(stepSec)} |`;
  });
  const [oldSec, newSec] = results.map(({ stepSec }) => stepSec) as [number, number];
  const together = formatSeconds(1 / (1 / oldSec + 1 / newSec));
  return [
    "| placement | layers by stage | micro-batches by replica | step |",
    "|---|---|---|---|",
    ...lines,
    "",
    `Both groups at their own pace would take ${together} (1 / (1/${formatSeconds(oldSec)} + 1/${formatSeconds(newSec)})).`,
  ].join("\n");
}

/** Two islands: which axis crosses the link, by the link's rate. */
function islands(): string {
  const job = read<Islands>("islands-ib-ethernet.yaml");
  const rates = [10, 25, 100, 400];
  const row = (title: string, order: string): string => {
    const steps = rates.map((rate) => {
      const links = job.cluster.links.map((link) => ({ ...link, nics: { count: 1, speed: `${rate}Gb/s` } }));
      return formatSeconds(predicted({ ...job, cluster: { ...job.cluster, links } }, { order }).stepSec);
    });
    return `| ${[title, ...steps].join(" | ")} |`;
  };
  return [
    `| | ${rates.map((rate) => `${rate} Gb/s`).join(" | ")} |`,
    `|---|${rates.map(() => "---|").join("")}`,
    row("pipeline over the islands", "tp-cp-dp-pp"),
    row("data parallelism over the islands", "tp-cp-pp-dp"),
  ].join("\n");
}

const tables: Readonly<Record<string, () => string>> = { generations, islands };

/** The document with every `<!-- figures: NAME -->` ... `<!-- end -->` block filled in. */
export function withMixedTables(document: string): string {
  return document.replace(
    /(<!-- figures: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, open: string, name: string, close: string) => {
      const table = tables[name];
      if (table === undefined) throw new Error(`A document asks for unknown figures "${name}"`);
      return `${open}${table()}\n${close}`;
    },
  );
}
