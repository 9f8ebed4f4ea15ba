// Results name the library's fields (`strategy.microBatch`); people write spec files (`strategy.micro_batch`).

import { snakeCase } from "../units/spelling.ts";

const renamed: Readonly<Record<string, string>> = {
  "strategy.num_chunks": "strategy.chunks",
  "workload.seq_len": "workload.seq",
};

export function specKey(path: string): string {
  const snake = snakeCase(path);
  return renamed[snake] ?? snake;
}
