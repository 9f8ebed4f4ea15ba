// Asks for a slow answer once its input rests, on the workers for searches.

import { useEffect, useState } from "preact/hooks";
import { compute } from "../compute/client.ts";
import type { WhatIfInput } from "./tasks.ts";

export interface Later<T> {
  readonly value: T | undefined;
  readonly running: boolean;
}

/** A task on the workers for searches, asked once the input rests. */
export function useLater<T>(
  name: "whatIfChoices" | "whatIfScaling" | "whatIfSensitivities",
  input: WhatIfInput,
  waitMs: number,
): Later<T> {
  const [state, setState] = useState<Later<T>>({ value: undefined, running: true });
  const key = JSON.stringify(input);
  // Equal inputs ask once
  useEffect(() => {
    const control = new AbortController();
    setState((before) => ({ ...before, running: true }));
    const timer = setTimeout(() => {
      compute(name, input, { signal: control.signal, lane: "search" }).then(
        (value) => !control.signal.aborted && setState({ value: value as T, running: false }),
        // Wrong input stands beside the dials already.
        () => !control.signal.aborted && setState({ value: undefined, running: false }),
      );
    }, waitMs);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [name, key, waitMs]);
  return state;
}
