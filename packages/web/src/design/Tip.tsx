// A word with an explanation: shown on hover and on focus, read aloud as its description.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";

export function Tip({ children, text }: { readonly children: ComponentChildren; readonly text: string }) {
  const id = useId();
  const [at, setAt] = useState<{ readonly x: number; readonly y: number } | null>(null);
  const show = (element: HTMLElement) => {
    const box = element.getBoundingClientRect();
    setAt({ x: Math.min(box.left, window.innerWidth - 330), y: box.bottom + 4 });
  };
  return (
    <>
      <button
        type="button"
        class="tip"
        style={{ background: "none", border: 0, borderBottom: "1px dotted var(--line-strong)", padding: 0 }}
        aria-describedby={at === null ? undefined : id}
        onPointerEnter={(event) => show(event.currentTarget)}
        onFocus={(event) => show(event.currentTarget)}
        onPointerLeave={() => setAt(null)}
        onBlur={() => setAt(null)}
        onKeyDown={(event) => event.key === "Escape" && setAt(null)}
      >
        {children}
      </button>
      {at === null ? null : (
        <span id={id} role="tooltip" class="tip-bubble" style={{ left: `${at.x}px`, top: `${at.y}px` }}>
          {text}
        </span>
      )}
    </>
  );
}
