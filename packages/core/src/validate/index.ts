// The validate room: files of measurements in, predicted against measured out.

import { predictStep } from "../simulate/index.ts";
import { detectFile } from "./detect.ts";
import { predictKernelRow } from "./kernelRows.ts";
import { predictNetworkRow } from "./networkRows.ts";
import type { Predictor } from "./scoreTraining.ts";
import { summarise } from "./summary.ts";
import { validateTable } from "./tableRows.ts";
import type { ValidationReport } from "./types.ts";
import { validateRows } from "./validateRows.ts";

export { type AccuracyEntry, accuracySummary } from "./accuracySummary.ts";
export * from "./layouts.ts";
export type { Predictor, StepSpec } from "./scoreTraining.ts";
export { errorOf, summarise } from "./summary.ts";
export { type RowSpec, specOfRow } from "./trainingRows.ts";
export * from "./types.ts";

export interface ValidationFile {
  /** Path or name: its folders and base name say which table, device and number format a CSV holds. */
  readonly name: string;
  readonly text: string;
}

export interface ValidationOptions {
  /** Replaces the step predictor, for tests and experiments. */
  readonly predict?: Predictor;
}

/** Validates the rows of one file of any supported kind. */
export function validateText(file: ValidationFile, options: ValidationOptions = {}): ValidationReport {
  const { rows, findings } = scored(file, options);
  return { version: 1, rows, summary: summarise(rows), findings };
}

function scored(file: ValidationFile, options: ValidationOptions): Pick<ValidationReport, "rows" | "findings"> {
  const detected = detectFile(file.name, file.text);
  switch (detected.kind) {
    case "rows":
      return validateRows(
        file.text,
        options.predict ?? ((spec, asked) => predictStep(spec, { ...asked, suggest: false })),
      );
    case "kernels":
      return validateTable({ ...file, family: detected.family, tier: "kernels" }, (_, row) =>
        predictKernelRow(tablePath(file.name, detected.family), row),
      );
    case "network":
      return validateTable({ ...file, family: detected.family, tier: "network" }, (name, row) =>
        predictNetworkRow(name, row),
      );
    case "unknown":
      return {
        rows: [],
        findings: [{ line: 1, message: `Cannot tell what "${file.name}" holds: ${detected.reason}` }],
      };
  }
}

/** Kernel rows are read by folder and name; a table that lies elsewhere gets the folder its columns imply. */
function tablePath(name: string, family: string): string {
  return `${family}/${name.replace(/^.*[\\/]/, "")}`;
}
