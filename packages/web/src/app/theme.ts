// Light, dark, or as the system is. CSS follows the root's data-theme; canvases ask `isDark` and colours of core/report.

import {
  lossColours,
  memoryColour,
  memoryColours,
  type PartColour,
  timeColour,
  timeColours,
} from "@meshwright/core/report";
import { computed, effect, signal } from "@preact/signals";
import { store, type ThemeChoice } from "../state/store.ts";

const STORED = "meshwright.theme";
const choices: readonly ThemeChoice[] = ["auto", "light", "dark"];
const system = window.matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(system.matches);

/** What is shown: the choice, or the system's. */
export const isDark = computed(() =>
  store.theme.value === "auto" ? systemIsDark.value : store.theme.value === "dark",
);

/** Hex of a part of time in the theme that is shown, for canvases. In HTML and SVG write `var(--time-compute)`, `var(--time-tp)`, `var(--memory-parameters)`. */
export function timeHex(key: string): string {
  return hexOf(timeColour(key));
}

export function memoryHex(key: string): string {
  return hexOf(memoryColour(key));
}

/** Reads a CSS colour variable (`--text-dim`) as it stands now, for canvases. Subscribes the caller to the theme. */
export function cssColour(name: string): string {
  void isDark.value;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function hexOf({ light, dark }: PartColour): string {
  return isDark.value ? dark : light;
}

export function startTheme(): void {
  const stored = readStored();
  if (stored !== null) store.theme.value = stored;
  system.addEventListener("change", (event) => {
    systemIsDark.value = event.matches;
  });
  const sheet = document.createElement("style");
  sheet.textContent = partVariables();
  document.head.append(sheet);
  effect(() => {
    document.documentElement.dataset["theme"] = isDark.value ? "dark" : "light";
    try {
      localStorage.setItem(STORED, store.theme.value);
    } catch {
      // Storage is off: the choice holds for this visit.
    }
  });
}

export function nextTheme(): void {
  store.theme.value = choices[(choices.indexOf(store.theme.peek()) + 1) % choices.length] ?? "auto";
}

/** `--time-tp`, `--loss-gemm`, `--memory-parameters`...: one variable for each entry of the colour table. */
function partVariables(): string {
  const variables = (dark: boolean) =>
    [
      ...Object.entries<PartColour>(timeColours).map(
        ([key, colour]) => [`time-${key.replace("exposed_", "")}`, colour] as const,
      ),
      ...Object.entries<PartColour>(timeColours).map(
        ([key, colour]) => [`loss-${key.replace("exposed_", "")}`, colour] as const,
      ),
      ...Object.entries<PartColour>(lossColours).map(([key, colour]) => [`loss-${key}`, colour] as const),
      ...Object.entries<PartColour>(memoryColours).map(([key, colour]) => [`memory-${key}`, colour] as const),
    ]
      .map(([name, colour]) => `--${name}:${dark ? colour.dark : colour.light};`)
      .join("");
  return `:root{${variables(false)}}:root[data-theme="dark"]{${variables(true)}}`;
}

function readStored(): ThemeChoice | null {
  try {
    const value = localStorage.getItem(STORED);
    return choices.find((choice) => choice === value) ?? null;
  } catch {
    return null;
  }
}
