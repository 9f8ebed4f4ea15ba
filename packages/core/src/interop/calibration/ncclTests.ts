// Text that nccl-tests (and rccl-tests) print, as measured collectives. One file may hold the output of several programs.
//
//   # Collective test starting: all_reduce_perf        newer versions name the program; for others the caller says which collective it was
//   #  Rank  0 Group  0 Pid  12345 on node-a device  0 [0x1b] NVIDIA H100 80GB HBM3
//   #       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
//       33554432       8388608     float     sum      -1    246.1  136.34  238.60      0    245.9  136.46  238.80      0
//
// The size column is the larger of what a rank sends and receives, which is the size that CollectivePoint means for every collective. Out-of-place times count.

import type { CollectiveName, CollectivePoint } from "../../cluster/index.ts";
import { collectiveNames } from "../../cluster/index.ts";
import { InputError } from "../../units/errors.ts";

const programs: Readonly<Record<string, CollectiveName>> = {
  all_reduce: "all_reduce",
  all_gather: "all_gather",
  reduce_scatter: "reduce_scatter",
  alltoall: "all_to_all",
  broadcast: "broadcast",
  sendrecv: "send_recv",
};

export interface NcclTestsResult {
  readonly collectives: readonly CollectivePoint[];
  /** Name of the GPU as the program printed it. */
  readonly device: string | null;
}

/** True where the text looks like output of nccl-tests. */
export function isNcclTests(text: string): boolean {
  return /^#\s+size\s+count\s+type/m.test(text) || /nccl-tests|rccl-tests|Collective test starting/.test(text);
}

/** @param op the collective, where the text does not name its program. @param path what findings call the text. */
export function readNcclTests(text: string, op: CollectiveName | null, path: string): NcclTestsResult {
  const points: CollectivePoint[] = [];
  let current = op;
  let device: string | null = null;
  let ranks = 0;
  let hosts = new Set<string>();
  let inRanks = false;
  for (const line of text.split(/\r?\n/)) {
    const program = /(\w+?)_perf\b/.exec(line)?.[1];
    if (program !== undefined && programs[program] !== undefined) current = programs[program] ?? current;
    const rank = /^#\s+Rank\s+\d+.*\bon\s+(\S+)\s+device\s+\d+\s+\[[^\]]*\]\s+(.+?)\s*$/.exec(line);
    if (rank !== null) {
      if (!inRanks) {
        ranks = 0;
        hosts = new Set();
      }
      inRanks = true;
      ranks += 1;
      hosts.add(rank[1]!);
      device ??= rank[2]!;
      continue;
    }
    inRanks = false;
    const row = /^\s*(\d+)\s+\d+\s+\w+\s+\w+\s+-?\d+\s+([\d.]+)\s/.exec(line);
    if (row === null || Number(row[1]) === 0) continue;
    if (current === null)
      throw new InputError({
        path,
        message: "The output does not name its collective",
        hint: `say which it was: --op ${Object.values(programs).join("|")}`,
      });
    if (ranks === 0)
      throw new InputError({
        path,
        message: "The output does not list its ranks",
        hint: 'keep the lines that begin with "#  Rank"',
      });
    points.push({
      op: collectiveNames[current],
      ranks,
      ranksPerNode: Math.ceil(ranks / hosts.size),
      sizeBytes: Number(row[1]),
      durationSec: Number(row[2]) * 1e-6,
    });
  }
  if (points.length === 0) throw new InputError({ path, message: "The output holds no measured size" });
  return { collectives: points.filter(({ durationSec }) => durationSec > 0), device };
}
