// The one store of the app: the run file with its history, the page that is shown, what each page remembers, the theme. Views are functions of
// it; everything computed from it (predictions, searches) is asked of the workers and never stored here.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { type History, recordEdit, redone, startHistory, undone } from "./history.ts";
import type { LinkedState } from "./link.ts";
import { exampleRun, type RunFile, type Section } from "./runFile.ts";

export type ThemeChoice = "auto" | "light" | "dark";

export interface EditOptions {
  /** Edits of one key that follow closely undo as one (a slider, a text field). */
  readonly mergeKey?: string;
}

export interface Store {
  readonly run: ReadonlySignal<RunFile>;
  readonly page: Signal<string>;
  readonly views: ReadonlySignal<Section>;
  readonly theme: Signal<ThemeChoice>;
  /** What undo and redo would do, in words; null when there is nothing. */
  readonly undoLabel: ReadonlySignal<string | null>;
  readonly redoLabel: ReadonlySignal<string | null>;
  /** @param label what the edit does, in words: `global batch`. */
  readonly edit: (label: string, change: (run: RunFile) => RunFile, options?: EditOptions) => void;
  readonly undo: () => void;
  readonly redo: () => void;
  readonly setView: (page: string, view: unknown) => void;
  /** Puts a whole state in place (a link, a file): one step of the history. */
  readonly open: (label: string, state: Partial<LinkedState>) => void;
  /** Puts a whole state in place and forgets the history (start of the app). */
  readonly reset: (state: Partial<LinkedState>) => void;
}

/** @param now milliseconds of a clock, to join edits that follow closely. */
export function createStore(now: () => number = () => performance.now()): Store {
  const history = signal<History<RunFile>>(startHistory(exampleRun));
  const views = signal<Section>({});
  const run = computed(() => history.value.present.value);
  const edit: Store["edit"] = (label, change, { mergeKey } = {}) => {
    const before = run.peek();
    const value = change(before);
    if (value === before || JSON.stringify(value) === JSON.stringify(before)) return;
    history.value = recordEdit(
      history.peek(),
      { value, label },
      { mergeKey: mergeKey === undefined ? null : mergeKey, nowMs: now() },
    );
  };
  return {
    run,
    page: signal("plan"),
    views,
    theme: signal<ThemeChoice>("auto"),
    undoLabel: computed(() => (history.value.past.length > 0 ? history.value.present.label : null)),
    redoLabel: computed(() => history.value.future[0]?.label ?? null),
    edit,
    undo: () => {
      history.value = undone(history.peek());
    },
    redo: () => {
      history.value = redone(history.peek());
    },
    setView: (page, view) => {
      views.value = { ...views.peek(), [page]: view };
    },
    open: (label, state) => {
      if (state.views !== undefined) views.value = state.views;
      if (state.run !== undefined) edit(label, () => state.run!);
    },
    reset: (state) => {
      views.value = state.views ?? {};
      history.value = startHistory(state.run ?? exampleRun);
    },
  };
}

/** The app's own store. Tests make theirs. */
export const store: Store = createStore();
