// A slider with its value in words: a factor of hardware, or one of the values that divide. The keyboard moves it as any range input; the sign behind it
// puts it back.

import { useId } from "preact/hooks";
import { Button } from "../design/Button.tsx";

export interface DialProps {
  readonly title: string;
  /** Positions of the slider. */
  readonly values: readonly number[];
  readonly value: number;
  /** Where it stands without a change. */
  readonly home: number;
  readonly format: (value: number) => string;
  readonly onChange: (value: number) => void;
}

export function Dial({ title, values, value, home, format, onChange }: DialProps) {
  const id = useId();
  const at = nearest(values, value);
  const isChanged = value !== home;
  const text = format(value);
  return (
    <div class={isChanged ? "dial changed" : "dial"}>
      <div>
        <label for={id}>{title}</label>
        <output for={id}>{isChanged ? `${format(home)} → ${text}` : text}</output>
      </div>
      <input
        id={id}
        class="range"
        type="range"
        min={0}
        max={Math.max(0, values.length - 1)}
        step={1}
        value={at}
        disabled={values.length < 2}
        aria-valuetext={text}
        onInput={(event) => {
          const next = values[Number(event.currentTarget.value)];
          if (next !== undefined) onChange(next);
        }}
      />
      <Button
        kind="icon"
        label={`Put ${title.toLowerCase()} back`}
        disabled={!isChanged}
        onClick={() => onChange(home)}
      >
        ↺
      </Button>
    </div>
  );
}

function nearest(values: readonly number[], value: number): number {
  let best = 0;
  values.forEach((each, i) => {
    if (Math.abs(Math.log(each / value)) < Math.abs(Math.log((values[best] ?? each) / value))) best = i;
  });
  return best;
}
