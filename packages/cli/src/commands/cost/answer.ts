// Answers a question: one line, JSON, or a curve over one of its sizes.

import { type CurvePoint, drawCurve } from "@meshwright/core/report";
import {
  formatBytes,
  formatCount,
  formatFlopRate,
  formatRate,
  formatSeconds,
  InputError,
} from "@meshwright/core/units";
import type { Io } from "../../io.ts";
import { OptionReader, type Question, type Sizes } from "./question.ts";

export function answer(ask: (read: OptionReader) => Question, values: Readonly<Record<string, unknown>>, io: Io): void {
  const question = ask(new OptionReader(values, io.cwd));
  const plot = values["plot"];
  if (plot === undefined) {
    if (values["json"] === true) {
      io.out(JSON.stringify({ title: question.title, ...pointJson(question, question.sizes) }, null, 2));
      return;
    }
    const cost = question.price(question.sizes);
    io.out(
      `${io.paint.bold(formatSeconds(cost.durationSec))}  ${question.rate(question.sizes, cost.durationSec).text}  ${io.paint.dim(`± ${(cost.relStd * 100).toFixed(0)} %, priced by ${cost.source}`)}`,
    );
    io.out(io.paint.dim(`${question.title}: ${sizesText(question)}`));
    return;
  }
  const swept = plot === true ? question.plotted : String(plot);
  if (!(swept in question.sizes))
    throw new InputError({
      path: "--plot",
      message: `"${swept}" is not a size of this question`,
      hint: `use ${Object.keys(question.sizes).join(", ")}`,
    });
  const points = sweep(question, swept);
  if (values["json"] === true) io.out(JSON.stringify({ title: question.title, swept, points }, null, 2));
  else plotCurve(question, swept, points, io);
}

interface Point {
  readonly sizes: Sizes;
  readonly duration_s: number;
  readonly rate: number;
  readonly source: string;
  readonly relative_std: number;
}

function pointJson(question: Question, sizes: Sizes): Point {
  const cost = question.price(sizes);
  return {
    sizes,
    duration_s: cost.durationSec,
    rate: question.rate(sizes, cost.durationSec).value,
    source: cost.source,
    relative_std: cost.relStd,
  };
}

/** From a 64th of the given size to 16 times it, four points per doubling; whole numbers. */
function sweep(question: Question, swept: string): readonly Point[] {
  const centre = question.sizes[swept]!;
  const values = new Set<number>();
  for (let step = -24; step <= 16; step++) values.add(Math.max(1, Math.round(centre * 2 ** (step / 4))));
  return [...values].map((value) => pointJson(question, { ...question.sizes, [swept]: value }));
}

function plotCurve(question: Question, swept: string, points: readonly Point[], io: Io): void {
  const formatX = (value: number) =>
    question.isBytes ? formatBytes(Math.round(value)) : formatCount(Math.round(value));
  const base = { width: Math.max(30, Math.min(io.width - 24, 90)), height: 9, formatX };
  const seconds: CurvePoint[] = points.map((point) => ({ x: point.sizes[swept]!, y: point.duration_s }));
  const rates: CurvePoint[] = points.map((point) => ({ x: point.sizes[swept]!, y: point.rate }));
  io.out(io.paint.bold(question.title));
  io.out(io.paint.dim(sizesText(question)));
  io.out(drawCurve(seconds, { ...base, formatY: formatSeconds, title: `seconds over ${swept}` }).join("\n"));
  const formatY = question.isBytes ? formatRate : formatFlopRate;
  io.out(drawCurve(rates, { ...base, formatY, title: `rate over ${swept}` }).join("\n"));
}

function sizesText(question: Question): string {
  return Object.entries(question.sizes)
    .map(([name, value]) => `${name} ${question.isBytes ? formatBytes(value) : value}`)
    .join(", ");
}
