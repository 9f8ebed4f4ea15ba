// The workload section as written.

import type { Finding } from "../units/errors.ts";
import { workloadFields } from "./fields.ts";
import { SectionReader } from "./sectionReader.ts";

export interface WrittenWorkload {
  readonly seqLen: number | undefined;
  readonly globalBatch: number | undefined;
  readonly globalBatchTokens: number | undefined;
  /** Some form of the global batch is there, readable or not. */
  readonly batchWritten: boolean;
}

export function readWorkload(value: unknown, findings: Finding[]): WrittenWorkload {
  const read = new SectionReader(value, "workload", workloadFields, findings);
  if (!read.has("seq"))
    read.find("seq", 'Missing required field "seq"', "give the tokens of one sequence, such as seq: 8192");
  return {
    seqLen: read.number("seq"),
    globalBatch: read.number("global_batch"),
    globalBatchTokens: read.number("global_batch_tokens"),
    batchWritten: read.has("global_batch") || read.has("global_batch_tokens"),
  };
}
