// Width of an element, as it changes: pictures are drawn to fit it.

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

export function useWidth(element: RefObject<HTMLElement | null>, before: number): number {
  const [width, setWidth] = useState(before);
  useEffect(() => {
    const { current } = element;
    if (current === null) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(120, Math.floor(current.clientWidth))));
    observer.observe(current);
    return () => observer.disconnect();
  }, [element]);
  return width;
}
