// What the page and its workers say to each other. The whole library runs in workers; the page holds none of its tables. A task is a plain
// function from plain data to plain data, so that it runs on any worker, and in a test without one.

import type { Finding } from "@meshwright/core/units";
import type { Tasks } from "./tasks.ts";

export type TaskName = keyof Tasks;
export type TaskInput<N extends TaskName> = Parameters<Tasks[N]>[0];
export type TaskOutput<N extends TaskName> = Awaited<ReturnType<Tasks[N]>>;

/** Errors do not cross a worker's border whole: wrong input comes back as findings, our fault as its message. */
export type Answer<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "input"; readonly findings: readonly Finding[] }
  | { readonly kind: "fault"; readonly message: string; readonly stack: string };

/** What a worker exposes. */
export interface ComputeWorker {
  readonly run: (name: TaskName, input: unknown) => Promise<Answer<unknown>>;
}
