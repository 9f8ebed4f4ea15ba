// A worker: the library and its tables, waiting for tasks.

import { InputError } from "@meshwright/core/units";
import { expose, transfer } from "comlink";
import type { Answer, ComputeWorker, TaskName } from "./contract.ts";
import { tasks } from "./tasks.ts";

const worker: ComputeWorker = {
  run: async (name: TaskName, input: unknown): Promise<Answer<unknown>> => {
    try {
      // The caller's types pair name and input (client.ts).
      const task = tasks[name] as (input: unknown) => unknown;
      const value = await task(input);
      const answer: Answer<unknown> = { kind: "ok", value };
      return transfer(answer, buffersOf(value));
    } catch (error) {
      if (error instanceof InputError) return { kind: "input", findings: error.findings };
      const isError = error instanceof Error;
      return {
        kind: "fault",
        message: isError ? error.message : String(error),
        stack: isError ? (error.stack ?? "") : "",
      };
    }
  },
};

/** Typed arrays directly in the answer, or one level below, move instead of being copied: a task makes them for its answer alone. */
function buffersOf(value: unknown): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const visit = (each: unknown, depth: number) => {
    if (ArrayBuffer.isView(each)) {
      if (each.buffer instanceof ArrayBuffer) buffers.add(each.buffer);
    } else if (depth > 0 && typeof each === "object" && each !== null && !Array.isArray(each))
      for (const inner of Object.values(each)) visit(inner, depth - 1);
  };
  visit(value, 2);
  return [...buffers];
}

expose(worker);
