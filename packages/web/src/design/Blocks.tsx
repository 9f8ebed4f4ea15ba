// Cards, figures, findings, empty states, stacked bars and their legends.

import type { Finding } from "@meshwright/core/units";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export function Card(props: {
  readonly title: ComponentChildren;
  readonly children: ComponentChildren;
  /** At the end of the header. */
  readonly end?: ComponentChildren;
  /** The body without its padding, for tables and canvases. */
  readonly flush?: boolean;
}) {
  const id = useId();
  return (
    <section class="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>{props.title}</h2>
        {props.end === undefined ? null : <div class="end">{props.end}</div>}
      </header>
      {props.flush === true ? props.children : <div class="body">{props.children}</div>}
    </section>
  );
}

export interface Figure {
  readonly name: string;
  readonly value: ComponentChildren;
  readonly help?: string;
}

export function Figures({ figures }: { readonly figures: readonly Figure[] }) {
  return (
    <dl class="figures">
      {figures.map(({ name, value, help }) => (
        <div key={name} title={help}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Findings of wrong input, each with its next step. */
export function Findings({ findings, title }: { readonly findings: readonly Finding[]; readonly title?: string }) {
  return (
    <div class="notice error" role="alert">
      {title === undefined ? null : <strong>{title}</strong>}
      {findings.map(({ path, message, hint }) => (
        <div key={`${path}${message}`}>
          {path === "" ? null : <span class="path">{path}: </span>}
          {message}
          {hint === undefined ? null : <span class="hint"> ({hint})</span>}
        </div>
      ))}
    </div>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

export interface BarPart {
  readonly key: string;
  readonly name: string;
  readonly value: number;
  /** CSS colour: `var(--time-tp)`. */
  readonly colour: string;
}

/** Parts of a whole side by side. @param whole the bar's length in the parts' unit; their sum unless stated. */
export function StackBar(props: {
  readonly parts: readonly BarPart[];
  readonly label: string;
  readonly format: (value: number) => string;
  readonly whole?: number;
}) {
  const shown = props.parts.filter(({ value }) => value > 0);
  const whole = props.whole ?? shown.reduce((sum, { value }) => sum + value, 0);
  return (
    <div
      class="stackbar"
      role="img"
      aria-label={`${props.label}: ${shown.map(({ name, value }) => `${name} ${props.format(value)}`).join(", ")}`}
    >
      {shown.map(({ key, name, value, colour }) => (
        <span
          key={key}
          title={`${name}: ${props.format(value)}`}
          style={{ width: `${(100 * value) / whole}%`, background: colour }}
        />
      ))}
    </div>
  );
}

export function Legend({
  parts,
  format,
}: {
  readonly parts: readonly BarPart[];
  readonly format?: (value: number) => string;
}) {
  return (
    <ul class="legend">
      {parts.map(({ key, name, value, colour }) => (
        <li key={key}>
          <span class="swatch" style={{ background: colour }} />
          {name}
          {format === undefined ? null : <span class="dim">{format(value)}</span>}
        </li>
      ))}
    </ul>
  );
}
