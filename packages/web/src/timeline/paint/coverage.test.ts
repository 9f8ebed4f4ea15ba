import fc from "fast-check";
import { expect, test } from "vitest";
import { type SpanTable, SpanTableBuilder } from "../model/spanTable.ts";
import { type Palette, paintClasses, RowPainter } from "./coverage.ts";

const palette: Palette = {
  red: Float32Array.of(200, 20, 90, 250),
  green: Float32Array.of(10, 180, 90, 250),
  blue: Float32Array.of(40, 60, 230, 250),
  alpha: Float32Array.of(1, 1, 0.5, 0),
};

/** A row of spans with gaps, in milliseconds. */
function tableOf(
  pieces: readonly { readonly gap: number; readonly length: number; readonly kind: number }[],
): SpanTable {
  const builder = new SpanTableBuilder();
  const stream = builder.streamOf(builder.addGroup("rank"), "compute", "stream", 0);
  for (const key of ["a", "b", "c", "d"]) builder.categoryOf(key);
  let at = 0;
  for (const { gap, length, kind } of pieces) {
    at += gap;
    builder.add(stream, builder.nameOf("op"), kind, at, at + length, -1, false);
    at += length;
  }
  return builder.table({ title: "", sends: [], memory: [], notes: [] });
}

/** Coverage of a pixel column by every span that meets it, one by one. Columns on the edge of a wide span are left out: they are lightened. */
function twin(table: SpanTable, fromSec: number, secPerPx: number, column: number) {
  const sum = [0, 0, 0];
  let covered = 0;
  let opaque = 0;
  let isEdge = false;
  const left = fromSec + column * secPerPx;
  for (let i = 0; i < table.numSpans; i++) {
    const start = table.startSec[i]!;
    const end = table.endSec[i]!;
    const part = Math.min(end, left + secPerPx) - Math.max(start, left);
    if (part <= 0) continue;
    const kind = table.category[i]!;
    const weight = (part / secPerPx) * palette.alpha[kind]!;
    covered += weight;
    if (end - start < secPerPx) opaque = Math.max(opaque, palette.alpha[kind]!);
    if (end - start >= 2.99 * secPerPx && start >= left - 1e-9) isEdge = true;
    [palette.red, palette.green, palette.blue].forEach((of, k) => {
      sum[k]! += of[kind]! * weight;
    });
  }
  return { colour: sum.map((each) => each / covered), covered, opaque, isEdge };
}

test("a column is the mean colour of the spans in it, by the time each covers", () => {
  const length = fc.oneof(
    fc.double({ min: 1e-4, max: 0.02, noNaN: true }),
    fc.double({ min: 0.5, max: 40, noNaN: true }),
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          gap: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 2, noNaN: true })),
          length,
          kind: fc.nat(3),
        }),
        { minLength: 1, maxLength: 600 },
      ),
      fc.double({ min: -5, max: 50, noNaN: true }),
      fc.double({ min: 0.01, max: 3, noNaN: true }),
      (pieces, fromSec, secPerPx) => {
        const table = tableOf(pieces);
        const width = 60;
        const out = new Uint8ClampedArray(width * 4);
        const spans = { startSec: table.startSec, endSec: table.endSec, from: 0, to: table.numSpans };
        new RowPainter().paint(out, 0, width, spans, { fromSec, secPerPx }, paintClasses(table, null), palette, 30);
        for (let column = 0; column < width; column++) {
          const truth = twin(table, fromSec, secPerPx, column);
          const shown = truth.covered + 0.35 * truth.opaque * (1 - truth.covered);
          if (truth.isEdge) continue;
          expect(Math.abs(out[column * 4 + 3]! - shown * 255)).toBeLessThan(3);
          if (truth.covered < 0.02) continue;
          truth.colour.forEach((value, k) => {
            expect(Math.abs(out[column * 4 + k]! - value)).toBeLessThan(3);
          });
        }
      },
    ),
    { seed: 5, numRuns: 150 },
  );
});

test("dimmed spans are classes of their own", () => {
  const table = tableOf(Array.from({ length: 100 }, (_, i) => ({ gap: 0, length: 1, kind: i % 2 })));
  const classes = paintClasses(table, (span) => span >= 50);
  expect(classes.numClasses).toBe(8);
  expect([classes.classOf[0], classes.classOf[1], classes.classOf[50], classes.classOf[51]]).toEqual([0, 1, 4, 5]);
  const last = classes.before.subarray(classes.before.length - 8);
  expect([...last]).toEqual([25, 25, 0, 0, 25, 25, 0, 0]);
});

test("spans wide enough for text are noted", () => {
  const table = tableOf([
    { gap: 0, length: 1, kind: 0 },
    { gap: 0, length: 50, kind: 1 },
  ]);
  const painter = new RowPainter();
  const spans = { startSec: table.startSec, endSec: table.endSec, from: 0, to: 2 };
  const out = new Uint8ClampedArray(400);
  painter.paint(out, 0, 100, spans, { fromSec: 0, secPerPx: 1 }, paintClasses(table, null), palette, 30);
  expect(painter.wide).toEqual([1]);
});
