// What must be equal on all hosts of a run, each of which reads its own files and options: the job's values by name, so that hosts can say what differs.
// Long values are digests.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import type { RankJob, RankTask } from "./rankJob.ts";
import type { PoolOptions } from "./rankPool.ts";
import { programOf } from "./runRank.ts";

/** Values by name; all of them text. */
export type JobFacts = Readonly<Record<string, string>>;

const maxTextLength = 100;

export function jobFacts(job: RankJob, { algorithms, hosts }: PoolOptions): JobFacts {
  const facts: Record<string, string> = {};
  const { version } = createRequire(import.meta.url)("../../../package.json") as { readonly version: string };
  facts["version of Meshwright"] = version;
  if (hosts !== undefined) facts["--nnodes"] = String(hosts.numHosts);
  const { model, strategy, workload, software } = job.spec;
  enter(facts, "", { model, strategy, workload, software });
  enter(facts, "", {
    "--exact": !job.rounds,
    "--kernels": job.kernels ?? "auto",
    "--algorithm": algorithms ?? "auto",
  });
  enter(facts, "", comparable(job.task));
  // Builds that lower the same job otherwise would wait for each other for ever.
  facts["the lowered program"] = short(JSON.stringify(programOf(job.spec)));
  return facts;
}

/** Without what is a host's own: where folders are mounted, how long it waits, memory that repeats what the fingerprint says. */
function comparable(task: RankTask): unknown {
  if (task.kind !== "train") return task;
  const { checkpoint, resumeFrom, data, code, mesh: __, ...rest } = task;
  return {
    ...rest,
    code: code?.spec ?? null,
    data: { fingerprint: data.fingerprint, evalFrac: data.evalFrac, tokenizer: data.tokenizer },
    checkpoint: checkpoint === null ? null : { everySteps: checkpoint.everySteps, keep: checkpoint.keep },
    resumeFrom: resumeFrom === null ? null : resumeFrom.replace(/^.*[\\/]/, ""),
  };
}

function enter(facts: Record<string, string>, path: string, value: unknown): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, each] of Object.entries(value)) enter(facts, path === "" ? key : `${path}.${key}`, each);
    return;
  }
  if (value !== undefined) facts[path] = short(JSON.stringify(value));
}

function short(text: string): string {
  if (text.length <= maxTextLength) return text;
  return `digest ${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
}
