// `meshwright validate`: rows of measurements against predictions. The library reads and scores; this prints.

import { resolve } from "node:path";
import { validationText } from "@meshwright/core/report";
import { predictStep } from "@meshwright/core/simulate";
import { type Finding, InputError } from "@meshwright/core/units";
import { type Predictor, type ValidationReport, type ValidationRow, validateText } from "@meshwright/core/validate";
import { readText } from "../files.ts";
import type { DefineCommand } from "../main.ts";

const examples = `
Examples:
  meshwright validate measurements.jsonl
  meshwright validate training.jsonl training_memory.jsonl --json > report.json
  meshwright validate gemm_h100.csv --verbose

Files: training rows and memory rows (JSON lines), kernel and network tables (CSV). See docs/json-schema.md.`;

export const define: DefineCommand = (command, io, exit) => {
  command
    .argument("<file...>", "files of measured rows")
    .option("--json", "print rows and summary as JSON")
    .option("-v, --verbose", "print every row, not the worst ten of each file")
    .addHelpText("after", examples);
  command.action((files: readonly string[], options: { readonly json?: boolean; readonly verbose?: boolean }) => {
    const style = { paint: io.paint, width: io.width, verbose: options.verbose === true };
    const reports: ValidationReport[] = [];
    for (const { name, text } of readAll(files, io.cwd)) {
      const numLines = text.trimEnd().split("\n").length;
      let numPredicted = 0;
      // The library's own predictor, counted: a file of hundreds of jobs takes seconds.
      const predict: Predictor = (spec, asked) => {
        numPredicted += 1;
        io.progress(`validating ${name}: ${numPredicted} of ${numLines} rows`);
        return predictStep(spec, { ...asked, suggest: false });
      };
      reports.push(validateText({ name, text }, { predict }));
    }
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

/** All files before any work, so that one run names every one that is missing. */
function readAll(files: readonly string[], cwd: string): { readonly name: string; readonly text: string }[] {
  const findings: Finding[] = [];
  const read = files.flatMap((name) => {
    try {
      return [{ name, text: readText(resolve(cwd, name), name) }];
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      findings.push(...error.findings);
      return [];
    }
  });
  if (findings.length > 0) throw new InputError(findings);
  return read;
}
