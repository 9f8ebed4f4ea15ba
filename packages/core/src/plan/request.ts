// What a search was asked for: limits, objective, engine, budget. From the `plan` section, checked at once.

import { ENGINES, type EngineName, engineRefusals } from "../parallel/software/engineLimits.ts";
import { type JobSpec, planFields } from "../spec/index.ts";
import { isSection, SectionReader } from "../spec/sectionReader.ts";
import { collectFindings, type Finding, InputError } from "../units/errors.ts";
import { type Objective, stepEnergy, stepTime } from "./objectives/objective.ts";
import { type Limits, readLimits, type Value } from "./space/limits.ts";
import type { PlanJob } from "./space/types.ts";

export type ObjectiveName = "time" | "cost" | "energy";

export interface PlanRequest {
  readonly objective: ObjectiveName;
  readonly limits: Limits;
  readonly engine: EngineName | null;
  /** Tokens of the whole run, or null. */
  readonly tokens: number | null;
  readonly top: number;
}

/** Throws InputError with every finding of the section. */
export function readPlanRequest(section: unknown): PlanRequest {
  const findings: Finding[] = [];
  const read = new SectionReader(section, "plan", planFields, findings);
  const map = <T>(key: "fix" | "max" | "min"): Record<string, T> | undefined => {
    const value = read.raw(key);
    if (value === undefined || isSection(value)) return value as Record<string, T> | undefined; // readLimits checks the values
    read.find(key, `Expected names with values, got ${JSON.stringify(value)}`, `write ${key}: {tp: 8}`);
    return undefined;
  };
  const words = (key: "forbid" | "open"): string[] | undefined => {
    const value = read.raw(key);
    if (value === undefined) return undefined;
    const list = Array.isArray(value) ? value : [value];
    if (list.every((each) => typeof each === "string")) return list as string[];
    read.find(key, `Expected a list of names, got ${JSON.stringify(value)}`);
    return undefined;
  };
  const [fix, max, min] = [map<Value | readonly Value[]>("fix"), map<number>("max"), map<number>("min")];
  const [forbid, open] = [words("forbid"), words("open")];
  const tokens = readTokens(read);
  const objective = read.choice<ObjectiveName>("objective") ?? "time";
  const engine = read.choice<EngineName>("engine") ?? null;
  const top = read.number("top") ?? 5;
  const limits = collectFindings(findings, () =>
    readLimits({
      ...(fix === undefined ? {} : { fix }),
      ...(max === undefined ? {} : { max }),
      ...(min === undefined ? {} : { min }),
      ...(forbid === undefined ? {} : { forbid }),
      ...(open === undefined ? {} : { open }),
    }),
  );
  if (findings.length > 0 || limits === undefined) throw new InputError(findings);
  return { objective, limits, engine, tokens, top };
}

const magnitudes: Readonly<Record<string, number>> = { "": 1, k: 1e3, K: 1e3, M: 1e6, B: 1e9, G: 1e9, T: 1e12 };

function readTokens(read: SectionReader<typeof planFields>): number | null {
  const value = read.raw("tokens");
  if (value === undefined) return null;
  const [, digits, letter] = /^\s*(\d+(?:\.\d+)?)\s*([kKMBGT]?)\s*$/.exec(String(value)) ?? [];
  const tokens = digits === undefined ? Number.NaN : Number(digits) * magnitudes[letter!]!;
  if (tokens > 0) return tokens;
  read.find("tokens", `Expected a count of tokens, got ${JSON.stringify(value)}`, "write it like 15T or 300B");
  return null;
}

/** The job of a search by floors. Throws InputError on a mixed cluster, for which `planMixed` searches. */
export function planJob(spec: JobSpec, request: Pick<PlanRequest, "limits" | "engine">): PlanJob {
  const { groups } = spec.cluster;
  if (groups !== undefined)
    throw new InputError({
      path: "cluster",
      message: `Cannot search a cluster of ${groups.length} groups this way: the floors of the search are proven for devices that lie alike`,
      hint: "leave out sweeps, fronts, extremes and shards, or give a cluster of one group",
    });
  return searchedJob(spec, request);
}

/** What is given to a search, and what may be chosen. */
export function searchedJob(spec: JobSpec, request: Pick<PlanRequest, "limits" | "engine">): PlanJob {
  const { name, model, cluster, workload, software, base } = spec;
  const { engine, limits } = request;
  return {
    name,
    model,
    cluster,
    workload,
    software,
    base,
    limits,
    ...(engine === null
      ? {}
      : { refuses: (strategy, facts) => engineRefusals(engine, model, strategy, facts, workload) }),
  };
}

export function objectiveOf(name: ObjectiveName, job: PlanJob): Objective {
  // At one price per device and hour the dollars of a token are the seconds of a step times a constant.
  return name === "energy" ? stepEnergy(job.cluster, job.cluster.numDevices) : stepTime;
}

export { ENGINES, type EngineName };
