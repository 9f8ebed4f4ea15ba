// `meshwright explain`: why a step takes what it takes, how other jobs compare, what would change it, what a target needs.

import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { parameterCounts } from "@meshwright/core/model";
import { baselines, explain, type NamedSpec, parseTarget, type Target } from "@meshwright/core/plan";
import { explanationJson, explanationReport, infeasibleReport } from "@meshwright/core/report";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { collectFindings, type Finding, InputError } from "@meshwright/core/units";
import type { DefineCommand } from "../main.ts";
import { addSpecOptions, requireJob, specFromCommand } from "../specInput.ts";
import { unknownName } from "../unknownName.ts";

const examples = `
Examples:
  meshwright explain examples/llama-3.1-405b-16k-h100.yaml
  meshwright explain examples/llama-3.1-70b-64xh100.yaml --target mfu=0.5 --target step=50s
  meshwright explain examples/llama-3.1-70b-64xh100.yaml --against fsdp --against other.yaml
  meshwright explain --model llama-3.1-8b --cluster 16xh100-sxm --seq 8192 --global-batch 128 --sharding zero3 --json

Targets: mfu=0.5, step=10s, tokens/s=2M, tokens/s/device=800, cost=200 (dollars per billion tokens).
Baselines: ${baselines.map(({ name }) => name).join(", ")}.
docs/explain.md says how to read the answer and documents the JSON.`;

export const define: DefineCommand = (command, io, exit) => {
  const repeat = (value: string, before: readonly string[]): readonly string[] => [...before, value];
  command
    .argument("[spec]", "spec file (YAML or JSON); options override its fields")
    .option("--target <quantity=value>", "what would be needed to reach it (repeatable)", repeat, [])
    .option("--against <spec>", "compare with another spec file or a named baseline (repeatable)", repeat, [])
    .option("--factor <n>", "how much better hardware is in the sensitivities", "2")
    .option("--quick", "no sensitivities")
    .option("--json", "print the explanation as JSON")
    .option("-v, --verbose", "show all components, sensitivities and changes")
    .addHelpText("after", examples);
  addSpecOptions(command);
  command.action((specPath: string | undefined, options: Record<string, unknown>) => {
    requireJob(specPath, options, "explain");
    const findings: Finding[] = [];
    const notes: string[] = [];
    const targets = collected(findings, options["target"] as readonly string[], parseOption);
    const factor = readFactor(options["factor"] as string, findings);
    const spec = collectFindings(findings, () => specFromCommand(specPath, options, io.cwd));
    const against =
      spec === undefined
        ? []
        : collected(findings, options["against"] as readonly string[], (name) => otherSpec(name, spec, io.cwd, notes));
    if (spec === undefined || findings.length > 0) throw new InputError(findings);
    const explanation = explain(
      { name: spec.name, spec },
      {
        targets: targets as readonly Target[],
        against,
        factors: [factor],
        sensitivities: options["quick"] !== true,
        onProgress: (what, done, total) => io.progress(`explaining ${spec.name}: ${what}, ${done} of ${total}`),
      },
    );
    io.progressDone();
    const style = { paint: io.paint, width: io.width, verbose: options["verbose"] === true };
    if (options["json"] === true)
      io.out(JSON.stringify(explanationJson({ spec, parameters: parameterCounts(spec.model) }, explanation), null, 2));
    else if (explanation.kind === "ok") io.out(explanationReport(spec, explanation, style));
    else io.err(infeasibleReport(spec, explanation, style));
    for (const note of notes) io.err(io.paint.dim(`note ${note}`));
    if (explanation.kind === "infeasible") exit(2);
  });
};

/** A target; what is wrong with it is wrong with the option. */
function parseOption(text: string): Target {
  try {
    return parseTarget(text);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(error.findings.map((finding) => ({ ...finding, path: "--target" })));
  }
}

/** A spec file, or a baseline for this job; undefined, and a note, where its rule gives nothing that fits. */
function otherSpec(name: string, spec: ResolvedSpec, cwd: string, notes: string[]): NamedSpec | undefined {
  const baseline = baselines.find((each) => each.name === name.toLowerCase());
  const isFile = /\.(ya?ml|json)$/i.test(name) || existsSync(resolve(cwd, name));
  if (isFile) return { name: basename(name).replace(/\.(ya?ml|json)$/i, ""), spec: specFromCommand(name, {}, cwd) };
  if (baseline === undefined) {
    const known = baselines.map((each) => each.name);
    throw new InputError(unknownName("--against", `There is no file and no baseline "${name}"`, name, known));
  }
  const { precision, optimizer } = spec.strategy;
  const strategy = baseline.strategyFor({ ...spec, precision, optimizer });
  if ("refused" in strategy) {
    notes.push(`Baseline ${name} has no strategy for this job: ${strategy.refused}`);
    return undefined;
  }
  return { name, spec: { ...spec, strategy } };
}

function readFactor(text: string, findings: Finding[]): number {
  const factor = Number(text);
  if (!(factor > 0) || !Number.isFinite(factor) || factor === 1)
    findings.push({
      path: "--factor",
      message: `Cannot improve hardware by a factor of "${text}"`,
      hint: "use a number above 0 other than 1, such as 2 or 0.5",
    });
  return factor;
}

function collected<T>(
  findings: Finding[],
  texts: readonly string[],
  read: (text: string) => T | undefined,
): readonly T[] {
  return texts.flatMap((text) => collectFindings(findings, () => read(text)) ?? []);
}
