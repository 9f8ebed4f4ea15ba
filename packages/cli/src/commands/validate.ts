// `meshwright validate`: rows of measurements against predictions. The library reads and scores; this prints.

import { resolve } from "node:path";
import { validationText } from "@meshwright/core/report";
import { type ValidationReport, type ValidationRow, validateText } from "@meshwright/core/validate";
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
    for (const [index, name] of files.entries()) {
      io.progress(`validating ${name} (${index + 1} of ${files.length})`);
      reports.push(validateText({ name, text: readText(resolve(io.cwd, name)) }));
    }
    io.progressDone();
    const rows: ValidationRow[] = reports.flatMap((report) => report.rows);
    if (options.json === true) {
      io.out(JSON.stringify({ version: 1, rows, summary: reports.flatMap((report) => report.summary) }, null, 2));
    } else {
      io.out(reports.map((report, i) => validationText({ name: files[i]!, report }, style)).join("\n\n"));
    }
    for (const [i, report] of reports.entries())
      for (const { line, message } of report.findings) io.err(`${files[i]}:${line}: ${message}`);
    // A file of which nothing could be read is wrong input; single bad lines are reported and left out.
    if (rows.length === 0) exit(2);
  });
};
