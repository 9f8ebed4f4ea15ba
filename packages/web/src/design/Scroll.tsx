// A table that is wider than its place scrolls there, by wheel, touch and keyboard.

import type { ComponentChildren } from "preact";

/** @param label what scrolls; read aloud. */
export function Scroll({ label, children }: { readonly label: string; readonly children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys scroll what has the focus
    // biome-ignore lint/a11y/useSemanticElements: a section for each table would crowd the list of landmarks
    <div class="table-scroll" role="group" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}
