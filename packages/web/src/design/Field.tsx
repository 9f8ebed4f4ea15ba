// A labelled line of a form. Text and numbers are taken over when the person leaves the field or presses Enter, so that half-typed values reach
// nobody; what is wrong with a value stands below it.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";

export interface FieldProps {
  readonly label: string;
  readonly children: (id: string) => ComponentChildren;
  /** What is wrong; wins over the remark. */
  readonly error?: string | undefined;
  readonly remark?: ComponentChildren;
  /** Longer explanation, shown as a tooltip of the label. */
  readonly help?: string;
}

export function Field({ label, children, error, remark, help }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label class="label" for={id} title={help}>
        {label}
      </label>
      {children(id)}
      {error !== undefined ? (
        <span class="remark bad" role="alert">
          {error}
        </span>
      ) : remark !== undefined ? (
        <span class="remark">{remark}</span>
      ) : null}
    </div>
  );
}

export interface TextInputProps {
  readonly id?: string;
  readonly value: string;
  readonly onCommit: (value: string) => void;
  readonly placeholder?: string;
  readonly invalid?: boolean;
  readonly label?: string;
  readonly list?: string;
}

export function TextInput({ id, value, onCommit, placeholder, invalid, label, list }: TextInputProps) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const commit = () => {
    if (typed !== value) onCommit(typed);
  };
  return (
    <input
      id={id}
      class="input"
      type="text"
      value={typed}
      placeholder={placeholder}
      aria-label={label}
      aria-invalid={invalid}
      list={list}
      spellcheck={false}
      autocomplete="off"
      onInput={(event) => setTyped(event.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === "Enter") commit();
        if (event.key === "Escape") setTyped(value);
      }}
    />
  );
}

export interface NumberInputProps {
  readonly id?: string;
  /** undefined: left to the default, which the placeholder says. */
  readonly value: number | undefined;
  readonly onCommit: (value: number | undefined) => void;
  readonly placeholder?: string;
  readonly min?: number;
  readonly invalid?: boolean;
  readonly label?: string;
}

/** Whole or decimal numbers; `8k`, `1M` are read as 8192 and 1048576 nowhere, so only digits are taken. An empty field is the default. */
export function NumberInput({ value, onCommit, min = 0, ...rest }: NumberInputProps) {
  const [wrong, setWrong] = useState(false);
  return (
    <TextInput
      {...rest}
      value={value === undefined ? "" : String(value)}
      invalid={rest.invalid === true || wrong}
      onCommit={(text) => {
        const trimmed = text.replaceAll(/[,_\s]/g, "");
        const number = trimmed === "" ? undefined : Number(trimmed);
        const isWrong = number !== undefined && !(Number.isFinite(number) && number >= min);
        setWrong(isWrong);
        if (!isWrong) onCommit(number);
      }}
    />
  );
}
