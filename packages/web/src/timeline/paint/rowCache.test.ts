import fc from "fast-check";
import { expect, test } from "vitest";
import { SpanTableBuilder } from "../model/spanTable.ts";
import { type Palette, paintClasses } from "./coverage.ts";
import { RowCache } from "./rowCache.ts";

const palette: Palette = {
  red: Float32Array.of(200, 20),
  green: Float32Array.of(10, 180),
  blue: Float32Array.of(40, 60),
  alpha: Float32Array.of(1, 1),
};

const builder = new SpanTableBuilder();
const stream = builder.streamOf(builder.addGroup("rank"), "compute", "stream", 0);
let at = 0;
for (let i = 0; i < 3000; i++) {
  const length = (i * 7919) % 13 === 0 ? 60 : 0.1 + ((i * 31) % 17) / 10;
  builder.add(stream, 0, builder.categoryOf(i % 3 === 0 ? "a" : "b"), at, at + length, -1, false);
  at += length + ((i * 17) % 5) / 4;
}
const table = builder.table({ title: "", sends: [], memory: [], notes: [] });
const spans = { startSec: table.startSec, endSec: table.endSec, from: 0, to: table.numSpans };
const classes = paintClasses(table, null);

test("a row that was moved, pan after pan, is the row painted anew", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0.31724, 1.03131, 4.07173, 40.31719),
      fc.array(fc.integer({ min: -70, max: 70 }), { minLength: 1, maxLength: 20 }),
      (secPerPx, pans) => {
        const cache = new RowCache();
        // Off the grid of the spans: on it, rounding decides which column an edge falls into.
        let fromSec = 500.123456;
        for (const byPx of [0, ...pans]) {
          fromSec += byPx * secPerPx;
          const view = { fromSec, secPerPx, widthPx: 200 };
          const moved = cache.paint("row", spans, view, classes, palette, 30);
          const fresh = new RowCache().paint("row", spans, view, classes, palette, 30);
          // As they are seen: colour times opacity.
          const seen = ({ pixels }: typeof moved) =>
            Array.from(pixels, (value, k) => (k % 4 === 3 ? value : (value * pixels[k | 3]!) / 255));
          const [a, b] = [seen(moved), seen(fresh)];
          const worst = a.reduce((most, value, k) => Math.max(most, Math.abs(value - b[k]!)), 0);
          expect(worst).toBeLessThan(4);
          expect([...moved.wide].sort((a, b) => a - b)).toEqual([...fresh.wide].sort((a, b) => a - b));
        }
      },
    ),
    { seed: 7, numRuns: 60 },
  );
});

test("a zoom and a cleared cache paint anew", () => {
  const cache = new RowCache();
  const view = { fromSec: 0, secPerPx: 1, widthPx: 100 };
  const other = { ...palette, red: Float32Array.of(0, 0) };
  const before = cache.paint("row", spans, view, classes, palette, 30).pixels.slice();
  expect(cache.paint("row", spans, { ...view, secPerPx: 2 }, classes, palette, 30).pixels).not.toEqual(before);
  cache.paint("row", spans, view, classes, palette, 30);
  cache.clear();
  expect(cache.paint("row", spans, view, classes, other, 30).pixels).not.toEqual(before);
});
