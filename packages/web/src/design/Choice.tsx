// Choices: a native select for many, a row of segments for few.

import { useRef } from "preact/hooks";

export interface Option<T extends string> {
  readonly value: T;
  readonly label: string;
  readonly help?: string;
}

export interface SelectProps<T extends string> {
  readonly id?: string;
  readonly value: T;
  readonly options: readonly Option<T>[];
  readonly onChange: (value: T) => void;
  readonly label?: string;
  readonly disabled?: boolean | undefined;
}

/** Options may come later than the value: the one that is chosen says so itself. A value that is no option is shown as it is. */
export function Select<T extends string>({ id, value, options, onChange, label, disabled }: SelectProps<T>) {
  const isKnown = options.some((option) => option.value === value);
  return (
    <select
      id={id}
      class="input"
      disabled={disabled}
      aria-label={label}
      onChange={(event) => onChange(event.currentTarget.value as T)} // its options hold T alone
    >
      {isKnown ? null : (
        <option value={value} selected>
          {value}
        </option>
      )}
      {options.map((option) => (
        <option key={option.value} value={option.value} title={option.help} selected={option.value === value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}

export interface SegmentsProps<T extends string> {
  readonly value: T;
  readonly options: readonly Option<T>[];
  readonly onChange: (value: T) => void;
  /** What is chosen; read aloud. */
  readonly label: string;
}

/** A radio group: one tab stop, arrows move. */
export function Segments<T extends string>({ value, options, onChange, label }: SegmentsProps<T>) {
  const row = useRef<HTMLDivElement>(null);
  const move = (by: number) => {
    const at = options.findIndex((option) => option.value === value);
    const next = (at + by + options.length) % options.length;
    onChange(options[next]!.value); // within the list, by the remainder
    row.current?.querySelectorAll("button")[next]?.focus();
  };
  return (
    <div
      ref={row}
      class="segments"
      role="radiogroup"
      aria-label={label}
      onKeyDown={(event) => {
        const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (by === undefined) return;
        event.preventDefault();
        move(by);
      }}
    >
      {options.map((option) => (
        // biome-ignore lint/a11y/useSemanticElements: radio inputs cannot be drawn as segments
        <button
          key={option.value}
          type="button"
          role="radio"
          aria-checked={option.value === value}
          tabIndex={option.value === value ? 0 : -1}
          title={option.help}
          onClick={() => onChange(option.value)}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}
