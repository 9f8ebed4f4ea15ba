// A calibration file, parsed: unknown in, Calibration out, or an InputError that names every bad row (up to a few) by its place.
//
// Rows are in the units of the public tables: `latency_us`, bytes. Keys that are not known are refused, so that a misspelt dimension is not a default.

import { type Finding, InputError } from "../../units/errors.ts";
import {
  type AttentionPoint,
  type Calibration,
  type CollectiveName,
  type CollectivePoint,
  calibrationFormat,
  calibrationVersion,
  collectiveNames,
  type GemmPoint,
  type MeasurementConditions,
  type MemoryPoint,
  measuredDTypes,
  measurementConditions,
  memoryAccesses,
} from "./types.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Bad rows that are spelled out; of the rest the number is said. */
const MOST_FINDINGS = 8;

const ops = Object.keys(collectiveNames) as readonly CollectiveName[]; // a constant's keys

/** @param path what findings call the file. */
export function readCalibration(value: unknown, path: string): Calibration {
  if (!isFields(value) || value["format"] !== calibrationFormat)
    throw new InputError({
      path,
      message: `This is no calibration file: its format is not "${calibrationFormat}"`,
      hint: "write one with `meshwright calibrate`",
    });
  if (value["version"] !== calibrationVersion)
    throw new InputError({
      path: `${path}: version`,
      message: `Calibration version ${JSON.stringify(value["version"])} is not known`,
      hint: `this program reads version ${calibrationVersion}`,
    });
  const findings: Finding[] = [];
  const known = ["format", "version", "device", "cluster", "measured", "conditions", "kernels", "collectives"];
  for (const key of Object.keys(value))
    if (!known.includes(key)) findings.push({ path: `${path}: ${key}`, message: `Unknown field "${key}"` });
  if (value["device"] === undefined)
    findings.push({ path: `${path}: device`, message: "Missing device", hint: "a name of `meshwright devices`" });
  const kernels = isFields(value["kernels"]) ? value["kernels"] : {};
  const rows = <T>(section: Fields, name: string, read: (row: RowReader) => T): T[] => {
    const list = section[name];
    if (list === undefined) return [];
    if (!Array.isArray(list)) {
      findings.push({ path: `${path}: ${name}`, message: "Expected a list of rows" });
      return [];
    }
    return list.flatMap((row, i) => {
      const reader = new RowReader(row, `${path}: ${name}[${i}]`);
      const point = read(reader);
      findings.push(...reader.finish());
      return reader.isGood ? [point] : [];
    });
  };
  const calibration: Calibration = {
    device: value["device"],
    cluster: value["cluster"],
    measured: textsOf(value["measured"]),
    conditions: conditionsOf(value["conditions"], path, findings),
    kernels: {
      gemm: rows(kernels, "gemm", gemmPoint),
      attention: rows(kernels, "attention", attentionPoint),
      memory: rows(kernels, "memory", memoryPoint),
    },
    collectives: rows(value, "collectives", collectivePoint),
  };
  if (findings.length > 0) throw new InputError(shortened(findings, path));
  const { gemm, attention, memory } = calibration.kernels;
  if (gemm.length + attention.length + memory.length + calibration.collectives.length === 0)
    throw new InputError({ path, message: "The calibration holds no measurement" });
  return calibration;
}

function conditionsOf(value: unknown, path: string, findings: Finding[]): MeasurementConditions {
  const found = measurementConditions.find((each) => each === (value ?? "loop"));
  if (found === undefined)
    findings.push({
      path: `${path}: conditions`,
      message: `Expected one of ${measurementConditions.join(", ")}, got ${JSON.stringify(value)}`,
    });
  return found ?? "loop"; // the file is refused
}

function shortened(findings: readonly Finding[], path: string): Finding[] {
  if (findings.length <= MOST_FINDINGS) return [...findings];
  const rest = findings.length - MOST_FINDINGS;
  return [...findings.slice(0, MOST_FINDINGS), { path, message: `${rest} more rows cannot be read` }];
}

function gemmPoint(row: RowReader): GemmPoint {
  return {
    m: row.count("m"),
    n: row.count("n"),
    k: row.count("k"),
    batch: row.count("batch", 1),
    dtype: row.choice("dtype", measuredDTypes),
    layout: row.choice("layout", ["TN", "NN", "NT"] as const, "TN"),
    durationSec: row.latency(),
  };
}

function attentionPoint(row: RowReader): AttentionPoint {
  const heads = row.count("heads");
  return {
    phase: row.choice("phase", ["forward", "backward"] as const),
    batch: row.count("batch", 1),
    seq: row.count("seq"),
    heads,
    kvHeads: row.count("kv_heads", heads),
    headDim: row.count("head_dim"),
    causal: row.flag("causal", true),
    dtype: row.choice("dtype", ["bf16", "fp16"] as const, "bf16"),
    durationSec: row.latency(),
  };
}

function memoryPoint(row: RowReader): MemoryPoint {
  const kernel = row.text("kernel");
  return {
    ...(kernel === undefined ? {} : { kernel }),
    access: row.choice("access", memoryAccesses, "stream"),
    sizeBytes: row.count("bytes"),
    numKernels: row.count("kernels", 1),
    durationSec: row.latency(),
  };
}

function collectivePoint(row: RowReader): CollectivePoint {
  const ranks = row.count("ranks");
  return {
    op: collectiveNames[row.choice("op", ops)],
    ranks,
    ranksPerNode: row.count("ranks_per_node", ranks),
    sizeBytes: row.count("bytes"),
    durationSec: row.latency(),
  };
}

class RowReader {
  private readonly row: Fields;
  private readonly path: string;
  private readonly findings: Finding[] = [];
  private readonly asked = new Set<string>();

  constructor(row: unknown, path: string) {
    this.path = path;
    this.row = isFields(row) ? row : {};
    if (!isFields(row)) this.findings.push({ path, message: "Expected a row with fields" });
  }

  get isGood(): boolean {
    return this.findings.length === 0;
  }

  count(key: string, fallback?: number): number {
    const value = this.take(key);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
    this.find(key, `Expected a whole number of at least 1, got ${JSON.stringify(value)}`);
    return 1;
  }

  latency(): number {
    const value = this.take("latency_us");
    if (typeof value === "number" && value > 0 && Number.isFinite(value)) return value * 1e-6;
    this.find("latency_us", `Expected microseconds above 0, got ${JSON.stringify(value)}`);
    return 1;
  }

  text(key: string): string | undefined {
    const value = this.take(key);
    if (value === undefined || (typeof value === "string" && value !== "")) return value;
    this.find(key, `Expected a text, got ${JSON.stringify(value)}`);
    return undefined;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.take(key);
    if (value === undefined) return fallback;
    if (typeof value === "boolean") return value;
    this.find(key, `Expected true or false, got ${JSON.stringify(value)}`);
    return fallback;
  }

  choice<Name extends string>(key: string, choices: readonly Name[], fallback?: Name): Name {
    const value = this.take(key);
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    if (value === undefined && fallback !== undefined) return fallback;
    this.find(key, `Expected one of ${choices.join(", ")}, got ${JSON.stringify(value)}`);
    return choices[0]!; // the row is refused
  }

  finish(): readonly Finding[] {
    for (const key of Object.keys(this.row)) if (!this.asked.has(key)) this.find(key, `Unknown field "${key}"`);
    return this.findings;
  }

  private take(key: string): unknown {
    this.asked.add(key);
    return this.row[key] ?? undefined;
  }

  private find(key: string, message: string): void {
    this.findings.push({ path: `${this.path}.${key}`, message });
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isFields(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}
