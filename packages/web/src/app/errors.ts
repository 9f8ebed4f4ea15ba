// What went wrong, shown once and in words. The user's input: findings, each with its next step. Our fault: said as such, with what is needed to
// report it. Nothing that a person entered is lost by either.

import { type Finding, InputError } from "@meshwright/core/units";
import { notify } from "./toasts.ts";

/** @param title what did not happen, as a sentence: `The file was not opened`. */
export function reportError(error: unknown, title: string): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const findings = findingsOf(error);
  if (findings !== null) {
    notify({ kind: "error", title, findings });
    return;
  }
  console.error(error);
  notify({
    kind: "error",
    title,
    findings: [
      {
        path: "",
        message: error instanceof Error ? error.message : String(error),
        hint: "this is a fault of Meshwright, not of your input; your job is kept",
      },
    ],
  });
}

/** Findings of wrong input; null for any other failure. */
export function findingsOf(error: unknown): readonly Finding[] | null {
  return error instanceof InputError ? error.findings : null;
}

export function watchErrors(): void {
  window.addEventListener("error", (event) => {
    // A browser says this when a picture grows with its frame: it draws it a frame later, and nothing is lost.
    if (!/ResizeObserver loop/.test(event.message)) reportError(event.error ?? event.message, "Something failed");
  });
  window.addEventListener("unhandledrejection", (event) => reportError(event.reason, "Something failed"));
}
