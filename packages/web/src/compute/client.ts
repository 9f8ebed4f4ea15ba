// How a page asks for a computation: `await compute("predict", {run})`, or `useTask("predict", input)` in a component, which keeps the last answer
// while the next one is made. Wrong input is an InputError here as it is in the library.

import { InputError } from "@meshwright/core/units";
import { useEffect, useState } from "preact/hooks";
import type { Answer, TaskInput, TaskName, TaskOutput } from "./contract.ts";
import { type Lane, WorkerPool } from "./pool.ts";

const MOST_SEARCHERS = 8;

let pool: WorkerPool | undefined;

function workers(): WorkerPool {
  pool ??= new WorkerPool(
    () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "meshwright" }),
    Math.min(MOST_SEARCHERS, Math.max(1, navigator.hardwareConcurrency ?? 2)),
  );
  return pool;
}

/** Starts all workers, so that nobody waits for them later. */
export function warmWorkers(): void {
  workers().warm();
}

/** Workers that share a search. */
export function numSearchers(): number {
  return workers().numSearchers;
}

export interface ComputeOptions {
  readonly signal?: AbortSignal;
  /** `person` (unless stated): somebody waits for it. `search`: one of many, on the other workers. */
  readonly lane?: Lane;
  /** Ports in the input, which move to the worker. */
  readonly ports?: readonly MessagePort[];
}

/** Throws InputError on wrong input, AbortError when the signal says so, Error on our fault. */
export async function compute<N extends TaskName>(
  name: N,
  input: TaskInput<N>,
  { signal, lane = "person", ports }: ComputeOptions = {},
): Promise<TaskOutput<N>> {
  const answer = (await workers().run(name, input, { lane, signal, ports })) as Answer<TaskOutput<N>>;
  switch (answer.kind) {
    case "ok":
      return answer.value;
    case "input":
      throw new InputError(answer.findings);
    case "fault": {
      const error = new Error(answer.message);
      error.stack = answer.stack;
      throw error;
    }
    default:
      return answer satisfies never;
  }
}

export interface TaskState<T> {
  /** The last answer; stays while the next one is made, so that a view does not flicker. */
  readonly value: T | undefined;
  readonly error: unknown;
  readonly running: boolean;
}

/** Asks again whenever the input changes, and gives up what was asked before. @param input null: nothing to ask. */
export function useTask<N extends TaskName>(name: N, input: TaskInput<N> | null): TaskState<TaskOutput<N>> {
  const [state, setState] = useState<TaskState<TaskOutput<N>>>({ value: undefined, error: undefined, running: false });
  const key = input === null ? null : JSON.stringify(input);
  // Equal inputs ask once
  useEffect(() => {
    if (input === null) {
      setState({ value: undefined, error: undefined, running: false });
      return;
    }
    const control = new AbortController();
    setState((before) => ({ ...before, running: true }));
    compute(name, input, { signal: control.signal }).then(
      (value) => {
        if (!control.signal.aborted) setState({ value, error: undefined, running: false });
      },
      (error: unknown) => {
        if (!control.signal.aborted) setState({ value: undefined, error, running: false });
      },
    );
    return () => control.abort();
  }, [name, key]);
  return state;
}
