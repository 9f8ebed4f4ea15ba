// Buttons. One primary action a page at most; quiet ones for what stands in rows and headers.

import type { ComponentChildren } from "preact";

export interface ButtonProps {
  readonly onClick: () => void;
  readonly children: ComponentChildren;
  readonly kind?: "plain" | "primary" | "quiet" | "icon";
  readonly disabled?: boolean;
  readonly pressed?: boolean;
  /** Tooltip; of an icon it is the name too. */
  readonly label?: string;
}

export function Button({ onClick, children, kind = "plain", disabled, pressed, label }: ButtonProps) {
  const classes = kind === "plain" ? "button" : kind === "icon" ? "button quiet icon" : `button ${kind}`;
  return (
    <button
      type="button"
      class={classes}
      onClick={onClick}
      disabled={disabled}
      aria-pressed={pressed}
      aria-label={kind === "icon" ? label : undefined}
      title={label}
    >
      {children}
    </button>
  );
}
