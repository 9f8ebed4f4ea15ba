import { expect, test } from "vitest";
import { blockLives } from "../../parallel/liveness.ts";
import { lowerTraining } from "../../parallel/lower/index.ts";
import { resolveSpec } from "../../spec/index.ts";

const seq = 2048;
const hidden = 2048;

/** Bytes that each kind of layer block keeps between forward and backward. */
function kept(software: Record<string, unknown>): readonly number[] {
  const spec = resolveSpec(
    { model: "llama-3.2-1b", cluster: "8xh100-sxm", strategy: {}, workload: { seq, global_batch: 8 }, software },
    { load: () => undefined },
  );
  const { blocks } = lowerTraining(spec.model, spec.strategy, spec.workload, spec.software);
  return blocks
    .filter((block) => block.forward.some((op) => op.kind === "attention"))
    .map((block) => {
      const { lives, bounds } = blockLives(block, false, true);
      return lives.reduce(
        (sum, life) => sum + (life.start < bounds[1] && life.end >= bounds[1] ? life.sizeBytes : 0),
        0,
      );
    });
}

test("a norm in tensor ops keeps fp32 input and product in place of its 16-bit input", () => {
  const before = kept({ preset: "generic" });
  expect(before.length).toBeGreaterThan(0);
  // Two norms a layer, bytes an element: 4 + 4 or 4 + 2 instead of 2.
  const more = (bytes: number) => before.map((sizeBytes) => sizeBytes + 2 * seq * hidden * bytes);
  expect(kept({ preset: "generic", norm_product: "fp32" })).toEqual(more(6));
  expect(kept({ preset: "generic", norm_product: "working" })).toEqual(more(4));
});
