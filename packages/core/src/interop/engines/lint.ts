// Checks a training configuration against a model and a cluster: what the file says wrong by itself (unknown and removed options, options that exclude
// each other), what contradicts the model, and what does not divide. All findings at once, each with its line; and the job, when there is one.

import { clusterFromDescription } from "../../cluster/index.ts";
import type { ClusterSpec } from "../../cluster/types.ts";
import { ENGINES, type EngineName } from "../../parallel/software/engineLimits.ts";
import { modelFromSource, resolveSpec } from "../../spec/index.ts";
import type { ResolvedSpec, SpecSources } from "../../spec/types.ts";
import { collectFindings, type Finding, InputError } from "../../units/errors.ts";
import type { ConfigFinding, EngineImport } from "./contract.ts";
import { detectEngine } from "./detect.ts";
import { formats } from "./formats.ts";

export interface LintRequest {
  readonly fileName: string;
  readonly text: string;
  /** Absent: what the file's name and text suggest. */
  readonly engine?: EngineName;
  /** `model:` of a spec. Absent: the model that the file describes. */
  readonly model?: unknown;
  /** `cluster:` of a spec. */
  readonly cluster: unknown;
  /** For files that do not say, and against those that do. */
  readonly seqLen?: number;
  readonly globalBatch?: number;
  readonly sources: SpecSources;
}

export interface LintResult {
  readonly engine: EngineName;
  /** By line; those without one last. */
  readonly findings: readonly ConfigFinding[];
  /** The job that the file stands for; null when errors leave none. */
  readonly spec: ResolvedSpec | null;
}

export function lintConfig(request: LintRequest): LintResult {
  const wrong: Finding[] = [];
  const engine = request.engine ?? detectEngine(request.fileName, request.text);
  if (engine === undefined) wrong.push(undetected(request));
  const cluster = collectFindings(wrong, () => clusterOf(request));
  const model = collectFindings(wrong, () =>
    request.model === undefined
      ? undefined
      : modelFromSource(request.model, { sources: request.sources, seqLen: request.seqLen }),
  );
  if (engine === undefined || cluster === undefined || wrong.length > 0) throw new InputError(wrong);
  let read: EngineImport;
  try {
    read = formats[engine].importText(request.text, {
      cluster,
      ...(model === undefined ? {} : { model }),
      ...(request.seqLen === undefined ? {} : { seqLen: request.seqLen }),
    });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { engine, findings: error.findings.map(unreadable), spec: null };
  }
  const findings: ConfigFinding[] = [...read.findings];
  if (read.numDevices !== undefined && read.numDevices !== cluster.numDevices)
    findings.push({
      severity: "error",
      line: null,
      at: "",
      message: `The file starts ${read.numDevices} processes, cluster "${cluster.name}" has ${cluster.numDevices} devices`,
    });
  const spec = resolve(request, read, findings);
  return { engine, findings: sorted(findings), spec };
}

/** What starts a script of DeepSpeed, torchtitan or PyTorch says nothing about the job; the file that it hands on does. */
function undetected({ fileName, text }: LintRequest): Finding {
  const started =
    /--deepspeed_config[ =]+(\S+)/.exec(text)?.[1] ?? /\b(\S*train_fsdp2\.py)\b/.exec(text)?.[1] ?? titanFile(text);
  return {
    path: "--engine",
    message: `Cannot tell which engine "${fileName}" is for`,
    hint: started === undefined ? `say it: ${ENGINES.join(", ")}` : `it only starts the job: lint "${started}"`,
  };
}

function titanFile(text: string): string | undefined {
  const module = /torchtitan\.train\b[\s\S]*?--module[ =]+(\w+)/.exec(text)?.[1];
  return module === undefined ? undefined : `${module}.py`;
}

function clusterOf({ cluster, sources }: LintRequest): ClusterSpec {
  const loaded = typeof cluster === "string" && /\.(ya?ml|json)$/i.test(cluster) ? sources.load(cluster) : undefined;
  return clusterFromDescription(loaded ?? cluster);
}

/** A file that is no such file: `line 12` of its reader becomes the line. */
function unreadable({ path, message, hint }: Finding): ConfigFinding {
  const line = /^line (\d+)$/.exec(path)?.[1];
  return {
    severity: "error",
    line: line === undefined ? null : Number(line),
    at: "",
    message,
    ...(hint === undefined ? {} : { hint }),
  };
}

function resolve(request: LintRequest, read: EngineImport, findings: ConfigFinding[]): ResolvedSpec | null {
  const model = request.model ?? read.model;
  const seq = request.seqLen ?? read.workload["seq"];
  const missing = (message: string, hint: string) =>
    findings.push({ severity: "error", line: null, at: "", message, hint });
  if (model === undefined) missing("The file does not describe a model", "give it with --model");
  if (seq === undefined) missing("The file does not say how long sequences are", "give --seq");
  if (model === undefined || seq === undefined) return null;
  const description = {
    model,
    cluster: request.cluster,
    workload: {
      ...read.workload,
      seq,
      ...(request.globalBatch === undefined ? {} : { global_batch: request.globalBatch }),
    },
    strategy: read.strategy,
    software: read.software,
  };
  try {
    return resolveSpec(description, request.sources);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    for (const finding of error.findings) {
      // The batch often follows from sizes that are wrong: then it is no finding of its own.
      const isFollowUp = finding.path === "workload.global_batch" && /^Missing/.test(finding.message);
      if (isFollowUp && findings.some(({ severity }) => severity === "error")) continue;
      const placed = place(finding, read);
      if (!findings.some((known) => isSameComplaint(known, placed))) findings.push(placed);
    }
    return null;
  }
}

/** A field of the description, where the file says it. */
function place({ path, message, hint }: Finding, read: EngineImport): ConfigFinding {
  // A section as a whole (`strategy`) is blamed on the first size in it.
  const candidates =
    path === "strategy" ? ["strategy.tp", "strategy.pp", "strategy.cp"] : [path, path.split(".").slice(0, 2).join(".")];
  const found = candidates.map((candidate) => read.placeOf(candidate)).find((each) => each !== undefined);
  return {
    severity: "error",
    line: found?.line ?? null,
    at: found?.at ?? path,
    message,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** The file's own check and the resolver may find the same thing: then they speak of the same numbers. */
function isSameComplaint(a: ConfigFinding, b: ConfigFinding): boolean {
  if (a.severity !== "error") return false;
  const numbers = (text: string) => new Set(text.match(/\d+/g) ?? []);
  const [fewer, more] = [numbers(a.message), numbers(b.message)].sort((x, y) => x.size - y.size);
  return a.line === b.line && fewer!.size >= 2 && [...fewer!].every((number) => more!.has(number));
}

function sorted(findings: readonly ConfigFinding[]): readonly ConfigFinding[] {
  const order = (finding: ConfigFinding) => finding.line ?? Number.POSITIVE_INFINITY;
  return findings
    .map((finding, i) => ({ finding, i }))
    .sort((a, b) => order(a.finding) - order(b.finding) || a.i - b.i)
    .map(({ finding }) => finding);
}
