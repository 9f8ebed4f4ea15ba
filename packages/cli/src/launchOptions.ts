// What a launcher asks of the place, as options: one table of the fields of a LaunchJob that no strategy knows.

import type { LaunchJob, PlaceField } from "@meshwright/core/interop";
import { collectFindings, type Finding, InputError, parseBytes, parseSeconds } from "@meshwright/core/units";
import type { Command } from "commander";

interface LaunchOption {
  readonly flag: string;
  readonly kind: "text" | "count" | "seconds" | "bytes" | "pairs";
  readonly doc: string;
}

const launchOptions: Readonly<Record<PlaceField, LaunchOption>> = {
  directory: {
    flag: "directory",
    kind: "text",
    doc: "folder in which the program runs, absolute, the same on every node",
  },
  port: { flag: "port", kind: "count", doc: "rendezvous port on the first node" },
  image: { flag: "image", kind: "text", doc: "container image" },
  cpusPerNode: { flag: "cpus", kind: "count", doc: "cores for the job on each node" },
  memoryBytesPerNode: { flag: "memory", kind: "bytes", doc: "memory for the job on each node, such as 512GiB" },
  timeLimitSec: { flag: "time", kind: "seconds", doc: "time limit of the job, such as 12h" },
  partition: { flag: "partition", kind: "text", doc: "Slurm partition" },
  account: { flag: "account", kind: "text", doc: "Slurm account" },
  nodesPerBlock: { flag: "segment", kind: "count", doc: "Slurm: nodes that must lie in one block" },
  maxSwitches: { flag: "switches", kind: "count", doc: "Slurm: most leaf switches" },
  queue: { flag: "queue", kind: "text", doc: "Kueue queue (Kubernetes)" },
  topologyLevel: { flag: "topology-level", kind: "text", doc: "Kueue: topology level that must hold all nodes" },
  deviceResource: {
    flag: "device-resource",
    kind: "text",
    doc: "Kubernetes' name of the devices (default: nvidia.com/gpu)",
  },
  resources: { flag: "resource", kind: "pairs", doc: "further resources of a node, such as rdma/ib=8 (Kubernetes)" },
  maxRestarts: { flag: "max-restarts", kind: "count", doc: "restarts of the whole job (JobSet)" },
  accelerator: { flag: "accelerator", kind: "text", doc: "devices as SkyPilot lists them, such as H100" },
};

export function addLaunchOptions(command: Command): void {
  for (const { flag, kind, doc } of Object.values(launchOptions))
    command.option(
      `--${flag} ${kind === "pairs" ? "<name=n...>" : kind === "count" ? "<n>" : "<value>"}`,
      `launcher: ${doc}`,
    );
}

/** The fields that options give; findings for values that cannot be read. Which launcher takes which is for the launcher to say. */
export function launchFields(options: Readonly<Record<string, unknown>>, findings: Finding[]): Partial<LaunchJob> {
  const fields: Record<string, unknown> = {};
  for (const [field, { flag, kind }] of Object.entries(launchOptions)) {
    const value = options[flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())];
    if (value === undefined) continue;
    collectFindings(findings, () => {
      fields[field] = readValue(value as string | readonly string[], kind, `--${flag}`);
    });
  }
  // Keys are those of the table, whose kinds are the fields' types.
  return fields as Partial<LaunchJob>;
}

/** Runs a step whose findings name fields of a LaunchJob; here they name the options. */
export function namingOptions<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const flags: Readonly<Record<string, LaunchOption | undefined>> = launchOptions;
    throw new InputError(
      error.findings.map((finding) => {
        const option = flags[finding.path];
        return option === undefined ? finding : { ...finding, path: `--${option.flag}` };
      }),
    );
  }
}

function readValue(value: string | readonly string[], kind: LaunchOption["kind"], path: string): unknown {
  if (kind === "pairs") {
    const pairs = (Array.isArray(value) ? (value as readonly string[]) : [String(value)]).map((each) =>
      each.split("="),
    );
    const wrong = pairs.find((pair) => pair.length !== 2 || pair.includes(""));
    if (wrong !== undefined)
      throw new InputError({ path, message: `Cannot read "${wrong.join("=")}"`, hint: "write it like rdma/ib=8" });
    return Object.fromEntries(pairs);
  }
  const text = String(value);
  if (kind === "seconds")
    try {
      return parseSeconds(text, path);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      // A job lasts longer than the kernels that the parser's own example is about.
      throw new InputError(error.findings.map((finding) => ({ ...finding, hint: "write it like 12h or 90min" })));
    }
  if (kind === "bytes") return parseBytes(text, path);
  if (kind === "text") return text;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InputError({ path, message: `Expected a whole number, got "${text}"` });
}
