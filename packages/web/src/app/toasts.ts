// Short messages at the edge of the page. Errors stay until they are closed; the rest goes by itself.

import type { Finding } from "@meshwright/core/units";
import { signal } from "@preact/signals";

export interface Notice {
  readonly kind: "done" | "note" | "error";
  readonly title: string;
  readonly findings?: readonly Finding[];
  readonly action?: { readonly label: string; readonly run: () => void };
}

export interface Toast extends Notice {
  readonly id: number;
}

const STAY_MS = 5000;
const MOST = 4;

export const toasts = signal<readonly Toast[]>([]);
let nextId = 1;

export function notify(notice: Notice): void {
  const id = nextId++;
  const others = toasts.peek().filter((toast) => toast.title !== notice.title || toast.kind !== notice.kind);
  toasts.value = [...others, { ...notice, id }].slice(-MOST);
  if (notice.kind !== "error") window.setTimeout(() => dismiss(id), STAY_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.peek().filter((toast) => toast.id !== id);
}
