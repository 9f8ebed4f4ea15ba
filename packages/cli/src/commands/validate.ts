// `meshwright validate`: rows of measurements against predictions. The library reads and scores; this prints.

import { resolve } from "node:path";
import { layoutsText, type ReportStyle, validationText } from "@meshwright/core/report";
import { predictStep } from "@meshwright/core/simulate";
import { collectFindings, type Finding, InputError } from "@meshwright/core/units";
import {
  type LayoutReport,
  type Predictor,
  summariseGroups,
  type ValidationReport,
  type ValidationRow,
  validateLayouts,
  validateText,
} from "@meshwright/core/validate";
import { readText } from "../files.ts";
import type { ExitCode, Io } from "../io.ts";
import type { DefineCommand } from "../main.ts";

const examples = `
Examples:
  meshwright validate measurements.jsonl
  meshwright validate training.jsonl training_memory.jsonl --json > report.json
  meshwright validate gemm_h100.csv --verbose
  meshwright validate training.jsonl --layouts

Files: training rows and memory rows (JSON lines), kernel and network tables (CSV). See docs/json-schema.md.`;

export const define: DefineCommand = (command, io, exit) => {
  command
    .argument("<file...>", "files of measured rows")
    .option("--json", "print rows and summary as JSON")
    .option("--layouts", "judge choices: jobs measured under several layouts, is the predicted best the best?")
    .option("-v, --verbose", "print every row, not the worst ten of each file")
    .addHelpText("after", examples);
  command.action((files: readonly string[], options: ValidateOptions) => {
    const style = { paint: io.paint, width: io.width, verbose: options.verbose === true };
    if (options.layouts === true) {
      layouts(files, options, style, io, exit);
      return;
    }
    const reports: ValidationReport[] = [];
    for (const { name, text } of readAll(files, io.cwd))
      reports.push(validateText({ name, text }, { predict: counted(name, text, io) }));
    io.progressDone();
    const rows: ValidationRow[] = reports.flatMap((report) => report.rows);
    if (options.json === true) {
      io.out(JSON.stringify({ version: 1, rows, summary: reports.flatMap((report) => report.summary) }, null, 2));
    } else if (rows.length > 0) {
      io.out(reports.map((report, i) => validationText({ name: files[i]!, report }, style)).join("\n\n"));
    }
    for (const [i, report] of reports.entries())
      for (const { line, message } of report.findings)
        io.err(`${io.paint.red("error")} ${io.paint.bold(`${files[i]}:${line}`)}: ${message}`);
    // The readable lines of a damaged file are still worth their figures, but whoever reads only the exit code must learn of it.
    if (rows.length === 0 || reports.some((report) => report.findings.length > 0)) exit(2);
  });
};

interface ValidateOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly layouts?: boolean;
}

/** The library's own predictor, counted: a file of hundreds of jobs takes seconds. */
function counted(name: string, text: string, io: Io): Predictor {
  const numLines = text.trimEnd().split("\n").length;
  let numPredicted = 0;
  return (spec, asked) => {
    numPredicted += 1;
    io.progress(`validating ${name}: ${numPredicted} of ${numLines} rows`);
    return predictStep(spec, { ...asked, suggest: false });
  };
}

/** Groups of all files in one table: a job's layouts stand in one file. */
function layouts(
  files: readonly string[],
  options: ValidateOptions,
  style: ReportStyle,
  io: Io,
  exit: (code: ExitCode) => void,
): void {
  const reports = readAll(files, io.cwd).map(
    ({ name, text }): LayoutReport => validateLayouts({ name, text }, { predict: counted(name, text, io) }),
  );
  io.progressDone();
  const groups = reports.flatMap((report) => report.groups);
  const summary = summariseGroups(groups);
  if (options.json === true) io.out(JSON.stringify({ version: 1, groups, summary }, null, 2));
  else io.out(layoutsText({ groups, summary }, style));
  for (const [i, report] of reports.entries())
    for (const { line, message } of report.findings)
      io.err(`${io.paint.red("error")} ${io.paint.bold(`${files[i]}:${line}`)}: ${message}`);
  // Without a single choice to judge there is no answer, as without a single row.
  if (groups.length === 0 || reports.some((report) => report.findings.length > 0)) exit(2);
}

/** All files before any work, so that one run names every one that is missing. */
function readAll(files: readonly string[], cwd: string): { readonly name: string; readonly text: string }[] {
  const findings: Finding[] = [];
  const read = files.flatMap(
    (name) => collectFindings(findings, () => ({ name, text: readText(resolve(cwd, name), name) })) ?? [],
  );
  if (findings.length > 0) throw new InputError(findings);
  return read;
}
