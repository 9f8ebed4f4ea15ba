// Measurements in any of the formats we read, joined to one calibration: calibration files (also those of the CUDA script), output of nccl-tests, PyTorch profiler traces.

import {
  type Calibration,
  type CollectiveName,
  calibrationFormat,
  deviceFromDescription,
  readCalibration,
} from "../../cluster/index.ts";
import { collectFindings, type Finding, InputError } from "../../units/errors.ts";
import { isNcclTests, readNcclTests } from "./ncclTests.ts";
import { readProfilerTrace } from "./profilerTrace.ts";

export interface MeasuredFile {
  readonly name: string;
  readonly text: string;
}

export interface CalibrationImport {
  /** The device, where files do not name it or name it differently. */
  readonly device?: string;
  /** Collective of nccl-tests output that does not say. */
  readonly op?: CollectiveName;
  /** Devices of a node, for collectives of a trace; all ranks on one node when absent. */
  readonly ranksPerNode?: number;
  /** The machine as a `cluster` section. */
  readonly cluster?: unknown;
}

/** Throws InputError with what is wrong in every file; nothing is joined then. */
export function importCalibration(files: readonly MeasuredFile[], options: CalibrationImport = {}): Calibration {
  const findings: Finding[] = [];
  const parts = files.flatMap((file) => collectFindings(findings, () => readPart(file, options)) ?? []);
  if (findings.length > 0) throw new InputError(findings);
  const device = options.device ?? parts.map((part) => part.device).find((name) => name !== null);
  if (device === undefined || device === null)
    throw new InputError({
      path: "--device",
      message: "No file names the device that was measured",
      hint: "give --device, a name of `meshwright devices`",
    });
  deviceFromDescription(device, "--device");
  const cluster = options.cluster ?? parts.map((part) => part.cluster).find((each) => each !== undefined);
  return {
    device,
    cluster,
    measured: Object.assign({}, ...parts.map((part) => part.measured)) as Record<string, string>,
    conditions: conditionsOf(parts),
    kernels: {
      gemm: parts.flatMap((part) => part.kernels.gemm),
      attention: parts.flatMap((part) => part.kernels.attention),
      memory: parts.flatMap((part) => part.kernels.memory),
    },
    collectives: parts.flatMap((part) => part.collectives),
  };
}

function conditionsOf(parts: readonly Calibration[]): Calibration["conditions"] {
  const [first] = parts;
  if (parts.some(({ conditions }) => conditions !== first?.conditions))
    throw new InputError({
      path: "--import",
      message: "Files measured inside steps and in loops cannot be joined",
      hint: "import them apart",
    });
  return first?.conditions ?? "loop";
}

/** One file; its device may be null. */
function readPart({ name, text }: MeasuredFile, options: CalibrationImport): Calibration {
  if (isNcclTests(text)) {
    const { collectives, device } = readNcclTests(text, options.op ?? null, name);
    return part({ device, tool: "nccl-tests", collectives });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InputError({
      path: name,
      message: "The file is neither JSON nor output of nccl-tests",
      hint: "give a calibration file, a PyTorch profiler trace, or what nccl-tests printed",
    });
  }
  if (isFields(value) && value["format"] === calibrationFormat) return readCalibration(value, name);
  if (isFields(value) && value["traceEvents"] !== undefined) {
    const { gemm, attention, collectives, device } = readProfilerTrace(
      value,
      options.ranksPerNode ?? Number.POSITIVE_INFINITY,
      name,
    );
    return part({ device, tool: "PyTorch profiler", gemm, attention, collectives });
  }
  throw new InputError({
    path: name,
    message: "The file holds no measurements that this program knows",
    hint: "give a calibration file, a PyTorch profiler trace, or what nccl-tests printed",
  });
}

function part(found: {
  readonly device: string | null;
  readonly tool: string;
  readonly gemm?: Calibration["kernels"]["gemm"];
  readonly attention?: Calibration["kernels"]["attention"];
  readonly collectives: Calibration["collectives"];
}): Calibration {
  const { device, tool, gemm = [], attention = [], collectives } = found;
  return {
    device,
    cluster: undefined,
    measured: { tool },
    conditions: "loop",
    kernels: { gemm, attention, memory: [] },
    collectives,
  };
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
