// A job description (a parsed spec file, or what the command line's options amount to) becomes a ResolvedSpec, or an InputError that
// lists everything wrong with it: unknown and mistyped fields first, then contradictions, then what does not divide.

import { placedCluster } from "../cluster/index.ts";
import { checkLowering } from "../parallel/lower/check.ts";
import { type Finding, InputError } from "../units/errors.ts";
import { snakeCase } from "../units/spelling.ts";
import { checkGroupOrder } from "./checkMixed.ts";
import { checkStrategy } from "./checkStrategy.ts";
import { strategyFields, topFields } from "./fields.ts";
import { lengthNotes, required, requireSections } from "./jobParts.ts";
import { clusterOfJob } from "./measuredCluster.ts";
import { modelFromSource } from "./modelSource.ts";
import { readSoftware } from "./readSoftware.ts";
import { readStrategy } from "./readStrategy.ts";
import { readWorkload } from "./readWorkload.ts";
import { resolveStrategy } from "./resolveStrategy.ts";
import { SectionReader } from "./sectionReader.ts";
import type { ResolvedSpec, SpecSources } from "./types.ts";

export function resolveSpec(description: unknown, sources: SpecSources): ResolvedSpec {
  requireSections(description, "give model, cluster, workload and strategy");
  const findings: Finding[] = [];
  const notes: string[] = [];
  const read = new SectionReader(description, "", topFields, findings);
  const workload = readWorkload(read.raw("workload"), findings);
  const written = readStrategy(read.raw("strategy"), findings);
  const model = required(
    read,
    "model",
    (value) => modelFromSource(value, { sources, seqLen: workload.seqLen }),
    findings,
  );
  const described = clusterOfJob(read, sources, findings);
  const software = readSoftware(read.raw("software"), findings);
  const name = read.text("name");
  // Arithmetic on stand-ins for misread fields would only confuse: it waits until those that enter it read well.
  const reads = (section: string) =>
    !findings.some(({ path }) => path.startsWith(section) && !apartFromSizes.test(path));
  if (described !== undefined) findings.push(...checkGroupOrder(described, written.groupOrder));
  if (model === undefined || described === undefined || software === undefined || !reads("strategy"))
    throw new InputError(findings);

  const cluster = placedCluster(described, written.groupOrder);
  const idle = described.numDevices - cluster.numDevices;
  if (idle > 0) notes.push(`${idle} devices of groups that group_order leaves out stay idle`);
  const more: Finding[] = [];
  const { strategy, workload: closed } = resolveStrategy({ model, cluster, strategy: written, workload }, more, notes);
  const known = new Set([...findings, ...more].map((finding) => finding.path));
  more.push(...checkStrategy({ model, cluster, strategy, workload: closed }).filter(({ path }) => !known.has(path)));
  if (!reads("workload")) throw new InputError([...findings, ...more.filter(({ path }) => withoutWorkload.has(path))]);
  findings.push(...more);
  // What the program cannot express: in full once the numbers are right, else what no other number would change.
  const isRefused = findings.length > 0;
  const unlowered = checkLowering(model, strategy, closed, software).map(asWritten);
  findings.push(...unlowered.filter(({ path }) => !isRefused || /^(model|software)/.test(path)));
  if (findings.length > 0) throw new InputError(findings);

  notes.push(...lengthNotes(model, closed));
  return {
    name: name ?? model.name,
    model,
    cluster,
    strategy,
    workload: closed,
    software,
    notes: [...notes, ...cluster.notes],
  };
}

/** Fields that no other field's rule depends on. */
const apartFromSizes =
  /^strategy\.(precision|optimizer|recompute|cp_layout|routing|capacity_factor|offload_optimizer|balance_embedding)\b/;

/** Rules that hold whatever the batch and the sequences are. */
const withoutWorkload: ReadonlySet<string> = new Set([
  "strategy",
  ...["tp", "dp", "ep", "etp", "ulysses", "shard_group", "precision"].map((key) => `strategy.${key}`),
]);

/** Lowering names the library's fields; users write snake case. */
function asWritten(finding: Finding): Finding {
  const { path, message, hint } = finding;
  return {
    path: snakeCase(path),
    message: fieldsAsWritten(message),
    ...(hint === undefined ? {} : { hint: fieldsAsWritten(hint) }),
  };
}

/** `turn sequenceParallel off` -> `turn sequence_parallel off`; other words stay. */
function fieldsAsWritten(text: string): string {
  return text.replace(/\b[a-z]+(?:[A-Z][a-z]+)+\b/g, (word) =>
    Object.hasOwn(strategyFields, snakeCase(word)) ? snakeCase(word) : word,
  );
}
