// Colour is the face's choice: a report is written through a Paint, and the plain one changes nothing.

export type Tone = "bold" | "dim" | "red" | "yellow" | "green" | "cyan" | "blue" | "magenta";

export type Paint = Readonly<Record<Tone, (text: string) => string>>;

const same = (text: string): string => text;

export const plainPaint: Paint = {
  bold: same,
  dim: same,
  red: same,
  yellow: same,
  green: same,
  cyan: same,
  blue: same,
  magenta: same,
};

/** What a report needs to know of where it is printed. */
export interface ReportStyle {
  readonly paint: Paint;
  /** Columns of the terminal. */
  readonly width: number;
  /** Everything: all ranks, all ops, where each figure came from. */
  readonly verbose: boolean;
}

export const plainStyle: ReportStyle = { paint: plainPaint, width: 100, verbose: false };
