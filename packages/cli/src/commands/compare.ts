// `meshwright compare`: several jobs side by side, and what published rules would have chosen.

import { basename, resolve } from "node:path";
import { baselines } from "@meshwright/core/plan";
import {
  type ComparedJob,
  compareJobs,
  comparisonHtml,
  comparisonJson,
  comparisonReport,
  type SkippedBaseline,
} from "@meshwright/core/report";
import { predictStep } from "@meshwright/core/simulate";
import type { ResolvedSpec } from "@meshwright/core/spec";
import { type Finding, InputError } from "@meshwright/core/units";
import { writeText } from "../files.ts";
import type { DefineCommand } from "../main.ts";
import { addSpecOptions, specFromCommand } from "../specInput.ts";
import { unknownName } from "../unknownName.ts";

const examples = `
Examples:
  meshwright compare examples/llama-3.1-70b-64xh100.yaml other.yaml
  meshwright compare examples/llama-3.1-70b-64xh100.yaml --baseline megatron fsdp 3d
  meshwright compare a.yaml b.yaml c.yaml --html comparison.html
  meshwright compare a.yaml b.yaml --seq 4096 --json

Options that describe a job hold for every spec. Baselines take model, cluster, workload and software from the first.
docs/compare.md describes what is shown.`;

export const define: DefineCommand = (command, io, exit) => {
  command
    .argument("[spec...]", "spec files (YAML or JSON)")
    .option("--baseline <name...>", `named baselines beside them: ${baselines.map(({ name }) => name).join(", ")}`)
    .option("--html <file>", "write the comparison as a page with charts")
    .option("--json", "print the comparison as JSON")
    .addHelpText("after", examples);
  addSpecOptions(command);
  command.action((given: readonly string[], options: Record<string, unknown>) => {
    // `--baseline fsdp a.yaml` reads a.yaml as one more name; its ending says that it is none.
    const named = (options["baseline"] as readonly string[] | undefined) ?? [];
    const paths = [...given, ...named.filter(isSpecName)];
    const wanted = named.filter((name) => !isSpecName(name)).map((name) => name.toLowerCase());
    const htmlPath = options["html"] as string | undefined;
    checkFiles(paths, htmlPath);
    const specs = readSpecs(paths, wanted, options, io.cwd);
    const first = specs[0]!.spec;
    const { ruled, skipped } = baselineSpecs(wanted, first);
    const all = [...specs, ...ruled];
    const jobs = all.map((job, i): ComparedJob => {
      io.progress(`predicting ${job.name} (${i + 1} of ${all.length})`);
      return { ...job, result: predictStep(job.spec, { rankOps: true }) };
    });
    io.progressDone();
    const comparison = compareJobs(jobs, skipped);
    if (htmlPath !== undefined) writeText(resolve(io.cwd, htmlPath), comparisonHtml(comparison), "--html", htmlPath);
    if (options["json"] === true) io.out(JSON.stringify(comparisonJson(comparison), null, 2));
    else io.out(comparisonReport(comparison, { paint: io.paint, width: io.width, verbose: false }));
    if (htmlPath !== undefined) io.err(io.paint.dim(`page written to ${htmlPath}`));
    if (comparison.fastest === null) exit(2);
  });
};

const isSpecName = (name: string): boolean => /\.(ya?ml|json)$/i.test(name);

function checkFiles(paths: readonly string[], htmlPath: string | undefined): void {
  const findings: Finding[] = [];
  if (paths.length === 0)
    findings.push({
      path: "",
      message: "Nothing to compare",
      hint: "give spec files, before options that take several values such as --set",
    });
  if (htmlPath !== undefined && isSpecName(htmlPath))
    findings.push({
      path: "--html",
      message: `"${htmlPath}" looks like a spec, and the page would replace it`,
      hint: "name the page first, such as --html comparison.html",
    });
  if (findings.length > 0) throw new InputError(findings);
}

type Unpredicted = Omit<ComparedJob, "result">;

/** All findings of all specs and of the baselines' names at once. */
function readSpecs(
  paths: readonly string[],
  wanted: readonly string[],
  options: Record<string, unknown>,
  cwd: string,
): readonly Unpredicted[] {
  const findings: Finding[] = [];
  const names = columnNames(paths, wanted);
  const specs = paths.flatMap((path, i): readonly Unpredicted[] => {
    try {
      return [{ name: names[i]!, spec: specFromCommand(path, options, cwd) }];
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      // Findings of a field name their file already, those about options do not and are the same for every spec.
      findings.push(...error.findings.filter((finding) => !findings.some((known) => same(known, finding))));
      return [];
    }
  });
  for (const name of wanted) {
    const known = baselines.map((baseline) => baseline.name);
    if (known.includes(name)) continue;
    findings.push(unknownName("--baseline", `There is no baseline "${name}"`, name, known));
  }
  if (findings.length > 0) throw new InputError(findings);
  return specs;
}

function same(a: Finding, b: Finding): boolean {
  return a.path === b.path && a.message === b.message;
}

/** File names without their ending; whole paths where two would be called alike, and a number where even those are. */
function columnNames(paths: readonly string[], taken: readonly string[]): readonly string[] {
  const short = paths.map((path) => basename(path).replace(/\.(ya?ml|json)$/i, ""));
  const names = short.map((name, i) =>
    short.indexOf(name) === short.lastIndexOf(name) && !taken.includes(name) ? name : paths[i]!,
  );
  return names.map((name, i) => {
    const before = names.slice(0, i).filter((each) => each === name).length;
    return before === 0 ? name : `${name} (${before + 1})`;
  });
}

function baselineSpecs(
  wanted: readonly string[],
  first: ResolvedSpec,
): { readonly ruled: readonly Unpredicted[]; readonly skipped: readonly SkippedBaseline[] } {
  const ruled: Unpredicted[] = [];
  const skipped: SkippedBaseline[] = [];
  for (const { name, title, source, strategyFor } of baselines.filter((baseline) => wanted.includes(baseline.name))) {
    const { model, cluster, workload, software } = first;
    const { precision, optimizer } = first.strategy;
    const strategy = strategyFor({ model, cluster, workload, software, precision, optimizer });
    if ("refused" in strategy) skipped.push({ name, title, reason: strategy.refused });
    else ruled.push({ name, spec: { ...first, strategy, notes: [] }, baseline: { title, source } });
  }
  return { ruled, skipped };
}
