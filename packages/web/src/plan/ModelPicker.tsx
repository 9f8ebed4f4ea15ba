// The model: from the catalogue by name, or from a config.json that is pasted, opened or dropped.

import { formatCount, grouped } from "@meshwright/core/units";
import { useEffect, useRef, useState } from "preact/hooks";
import { openJobFile, takeJobText } from "../app/jobFiles.ts";
import type { ModelEntry } from "../compute/catalogue.ts";
import type { ModelFacts } from "../compute/jobFacts.ts";
import { Button } from "../design/Button.tsx";
import type { RunFile } from "../state/runFile.ts";
import { modelText } from "../state/runText.ts";
import { store } from "../state/store.ts";

export function ModelPicker(props: {
  readonly run: RunFile;
  readonly facts: ModelFacts | null;
  readonly models: readonly ModelEntry[];
}) {
  const { run, facts, models } = props;
  const [open, setOpen] = useState(false);
  const [pasting, setPasting] = useState(false);
  const name = typeof run.model === "string" ? run.model : (facts?.name ?? modelText(run));
  const choose = (model: string) => {
    setOpen(false);
    store.edit("model", (before) => withoutStrategy({ ...before, model }));
  };
  return (
    <>
      <div class="picker">
        <button
          type="button"
          class="button picker-button"
          aria-haspopup="listbox"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          <span class="picker-name">{name}</span>
          <span class="dim">▾</span>
        </button>
        {open ? <ModelList models={models} chosen={name} onChoose={choose} onClose={() => setOpen(false)} /> : null}
      </div>
      {facts === null ? null : (
        <p class="facts">
          <span>
            <strong>{formatCount(facts.parameters)}</strong> parameters
          </span>
          {facts.activeParameters < facts.parameters ? <span>{formatCount(facts.activeParameters)} active</span> : null}
          <span>{facts.numLayers} layers</span>
          <span>hidden {grouped(facts.hidden)}</span>
          <span>{facts.family}</span>
        </p>
      )}
      <div class="row">
        <Button kind="quiet" onClick={() => setPasting(true)}>
          Paste config.json
        </Button>
        <Button
          kind="quiet"
          label="Open a config.json or a run file; dropping one on the page does the same"
          onClick={openJobFile}
        >
          Open file
        </Button>
      </div>
      {pasting ? <PasteDialog onClose={() => setPasting(false)} /> : null}
    </>
  );
}

/** Another model wants another strategy: what was picked for the last one is let go. */
export function withoutStrategy(run: RunFile): RunFile {
  const { strategy, name: _, ...rest } = run;
  const precision = strategy?.["precision"];
  return precision === undefined ? rest : { ...rest, strategy: { precision } };
}

function ModelList(props: {
  readonly models: readonly ModelEntry[];
  readonly chosen: string;
  readonly onChoose: (name: string) => void;
  readonly onClose: () => void;
}) {
  const { models, onChoose, onClose } = props;
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    field.current?.focus();
    const close = (event: PointerEvent) => {
      if (event.target instanceof Node && !box.current?.parentElement?.contains(event.target)) onClose();
    };
    document.addEventListener("pointerdown", close);
    return () => document.removeEventListener("pointerdown", close);
  }, [onClose]);
  const words = typed.toLowerCase().split(/\s+/);
  const found = models.filter((model) =>
    words.every((word) => `${model.name} ${model.family}`.toLowerCase().includes(word)),
  );
  const active = Math.min(at, found.length - 1);
  return (
    <div class="popup" ref={box}>
      <input
        ref={field}
        class="input"
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="model-list"
        aria-activedescendant={found[active] === undefined ? undefined : `model-${found[active].name}`}
        aria-label="Find a model"
        placeholder={`Find among ${models.length} models`}
        value={typed}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt(Math.min(found.length - 1, active + 1));
          else if (event.key === "ArrowUp") setAt(Math.max(0, active - 1));
          else if (event.key === "Enter" && found[active] !== undefined) onChoose(found[active].name);
          else if (event.key === "Escape") onClose();
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      <div id="model-list" role="listbox" aria-label="Models" class="popup-list">
        {found.map((model, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the text field above takes the keys and keeps the focus
          <div
            key={model.name}
            id={`model-${model.name}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            ref={(element) => {
              if (index === active) element?.scrollIntoView({ block: "nearest" });
            }}
            onClick={() => onChoose(model.name)}
          >
            <span>{model.name}</span>
            <span class="dim number">{formatCount(model.parameters)}</span>
          </div>
        ))}
        {found.length === 0 ? <p class="dim pad">No model is called that: paste its config.json</p> : null}
      </div>
    </div>
  );
}

function PasteDialog({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" aria-label="Paste a config.json" onClose={onClose}>
      <div class="dialog-body stack">
        <h2>Paste a Hugging Face config.json, an inline model or a run file</h2>
        <textarea
          class="input"
          rows={14}
          aria-label="Text of the file"
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <div class="row end">
          <Button onClick={() => dialog.current?.close()}>Cancel</Button>
          <Button
            kind="primary"
            disabled={text.trim() === ""}
            onClick={() => void takeJobText(text, "pasted text").then((taken) => taken && dialog.current?.close())}
          >
            Use it
          </Button>
        </div>
      </div>
    </dialog>
  );
}
