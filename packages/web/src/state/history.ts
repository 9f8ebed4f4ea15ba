// Undo and redo of a value that is replaced, never changed. Edits with the same merge key that follow each other closely are one step, so that
// dragging a slider or typing a number undoes at once.

export interface Step<T> {
  readonly value: T;
  /** What led to this value, in words: `global batch`. */
  readonly label: string;
}

export interface History<T> {
  readonly past: readonly Step<T>[];
  readonly present: Step<T>;
  readonly future: readonly Step<T>[];
  /** Merge key and time of the last edit; null after undo and redo. */
  readonly last: { readonly key: string; readonly atMs: number } | null;
}

/** Edits of one key within this time are one step. */
const MERGE_MS = 1000;
const MOST_STEPS = 200;

export function startHistory<T>(value: T): History<T> {
  return { past: [], present: { value, label: "start" }, future: [], last: null };
}

export function recordEdit<T>(
  history: History<T>,
  next: Step<T>,
  at: { readonly mergeKey: string | null; readonly nowMs: number },
): History<T> {
  const { past, present, last } = history;
  const merges = last !== null && last.key === at.mergeKey && at.nowMs - last.atMs < MERGE_MS;
  return {
    past: merges ? past : [...past, present].slice(-MOST_STEPS),
    present: next,
    future: [],
    last: at.mergeKey === null ? null : { key: at.mergeKey, atMs: at.nowMs },
  };
}

export function undone<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  if (before === undefined) return history;
  return {
    past: history.past.slice(0, -1),
    present: before,
    future: [history.present, ...history.future],
    last: null,
  };
}

export function redone<T>(history: History<T>): History<T> {
  const [after, ...future] = history.future;
  if (after === undefined) return history;
  return { past: [...history.past, history.present], present: after, future, last: null };
}
