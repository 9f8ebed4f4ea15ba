// Everything that can be done, by name (mod+k) - and the list of keys.

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Command, commands, keysText } from "./commands.ts";

const isOpen = signal(false);

export function openCommandList(): void {
  isOpen.value = true;
}

export function CommandList() {
  return isOpen.value ? <OpenList /> : null;
}

function OpenList() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  useEffect(() => dialog.current?.showModal(), []);
  const found = commands.value.filter((command) => matches(command, typed));
  const chosen = Math.min(at, found.length - 1);
  const run = (command: Command | undefined) => {
    if (command === undefined || command.enabled === false) return;
    dialog.current?.close();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by !== undefined && found.length > 0) setAt((chosen + by + found.length) % found.length);
    else if (event.key === "Enter") run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-label="Commands"
      onClose={() => {
        isOpen.value = false;
      }}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
      onKeyDown={(event) => event.key === "Escape" && event.stopPropagation()}
    >
      <div class="command-list">
        <input
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls="command-list"
          aria-activedescendant={found[chosen] === undefined ? undefined : `command-${found[chosen].id}`}
          placeholder="What to do?"
          aria-label="Find a command"
          value={typed}
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
        <div id="command-list" role="listbox" aria-label="Commands">
          {found.map((command, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the text field above takes the keys and keeps the focus
            <div
              key={command.id}
              id={`command-${command.id}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === chosen}
              aria-disabled={command.enabled === false}
              ref={(element) => {
                if (index === chosen) element?.scrollIntoView({ block: "nearest" });
              }}
              onClick={() => run(command)}
            >
              <span class="group">{command.group}</span>
              <span>{command.title}</span>
              {command.keys === undefined ? null : <kbd>{keysText(command.keys)}</kbd>}
            </div>
          ))}
          {found.length === 0 ? <p class="dim">Nothing is called that</p> : null}
        </div>
      </div>
    </dialog>
  );
}

function matches({ title, group }: Command, typed: string): boolean {
  const text = `${group} ${title}`.toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
