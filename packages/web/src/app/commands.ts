// Everything a person can do has a name and may have keys: the command list (mod+k) and the keyboard are two ways to the same table. Pages add
// theirs while they are shown.
//
// Keys are written `mod+z` (Ctrl, or Cmd on a Mac), `shift+?`, or as two in a row: `g p`. Plain letters wait while a text field has the focus.

import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export interface Command {
  /** Unique: `plan.search`. */
  readonly id: string;
  readonly title: string;
  /** Heading in the command list: the page, or `App`. */
  readonly group: string;
  readonly keys?: string;
  readonly run: () => void;
  /** Greyed in the list when false; keys pass through. */
  readonly enabled?: boolean;
}

const sets = signal<readonly (readonly Command[])[]>([]);

/** All commands of this moment; of two with one id the later stands. */
export const commands = computed<readonly Command[]>(() => {
  const byId = new Map<string, Command>();
  for (const set of sets.value) for (const command of set) byId.set(command.id, command);
  return [...byId.values()];
});

export function addCommands(list: readonly Command[]): () => void {
  sets.value = [...sets.peek(), list];
  return () => {
    sets.value = sets.peek().filter((set) => set !== list);
  };
}

/** Commands of a component while it is shown. @param key changes when the commands do. */
export function useCommands(list: readonly Command[], key: string): void {
  // A new list with the same key does the same
  useEffect(() => addCommands(list), [key]);
}

export const isMac = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.userAgent);

/** `mod+shift+z` as people of this system know it. */
export function keysText(keys: string): string {
  const names: Readonly<Record<string, string>> = {
    mod: isMac ? "⌘" : "Ctrl",
    shift: isMac ? "⇧" : "Shift",
    alt: isMac ? "⌥" : "Alt",
    escape: "Esc",
    enter: "Enter",
    arrowup: "↑",
    arrowdown: "↓",
    arrowleft: "←",
    arrowright: "→",
  };
  return keys
    .split(" ")
    .map((chord) =>
      chord
        .split("+")
        .map((key) => names[key] ?? key.toUpperCase())
        .join(isMac ? "" : "+"),
    )
    .join(" ");
}

/** A key press as it is written in a command. */
export function chordOf(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const isSign = key.length === 1 && !/[a-z0-9]/.test(key);
  return [
    ...(event.ctrlKey || event.metaKey ? ["mod"] : []),
    ...(event.altKey ? ["alt"] : []),
    // A sign such as ? says its shift itself.
    ...(event.shiftKey && !isSign ? ["shift"] : []),
    key,
  ].join("+");
}

const SEQUENCE_MS = 1200;

/** Listens to the keyboard for as long as the app lives. */
export function listenToKeys(target: Document): void {
  let first: { readonly chord: string; readonly atMs: number } | null = null;
  target.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const chord = chordOf(event);
    const typing = isTyping(event.target);
    // A text field has its own undo, and its own letters.
    if (typing && (!/^(mod|alt)\+/.test(chord) || /^mod\+(shift\+)?[zyaxcv]$/.test(chord))) return;
    const before = first !== null && event.timeStamp - first.atMs < SEQUENCE_MS ? `${first.chord} ${chord}` : null;
    const command = commands.peek().find(({ keys, enabled }) => keys === (before ?? chord) && enabled !== false);
    if (command === undefined && before !== null) first = null;
    if (command !== undefined) {
      first = null;
      event.preventDefault();
      command.run();
    } else if (commands.peek().some(({ keys }) => keys?.startsWith(`${chord} `) === true))
      first = { chord, atMs: event.timeStamp };
  });
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement)
    return true;
  return target instanceof HTMLInputElement && !/^(checkbox|radio|range|button)$/.test(target.type);
}
