// What a page remembers in the address: sort order, zoom, the chosen rank. A page states a reader that takes whatever an old or a damaged link
// holds and gives a value that the page can show.

import { useMemo } from "preact/hooks";
import { store } from "./store.ts";

/**
 * State of one page that goes with a shared link. Reading it in a component subscribes to it.
 *
 * @param read any stored value (undefined at first) as the page's own; must not throw.
 */
export function usePageView<T>(page: string, read: (stored: unknown) => T): readonly [T, (next: T) => void] {
  const stored = store.views.value[page];
  // Read is a function of the page's file and never changes
  const value = useMemo(() => read(stored), [stored]);
  return [value, (next) => store.setView(page, next)];
}
