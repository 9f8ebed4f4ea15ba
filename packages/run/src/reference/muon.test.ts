// Muon under every kind of sharding: parameters after a step equal the unsplit model's, whose step is written out in truth/muon.ts.

import { type Program, parameterUpdates } from "@meshwright/core";
import { describe, expect, it } from "vitest";
import { matmul } from "./kernels/linear.ts";
import { mat } from "./kernels/mat.ts";
import { orthogonalise, roomIn } from "./kernels/newtonSchulz.ts";
import type { TinyChoice } from "./tinyCases.fixture.ts";
import { unsplitStep } from "./truth/model.ts";
import { checkUpdate, lowered, split, updateChoices } from "./updateCases.fixture.ts";
import { verifyProgram } from "./verify.ts";

const muon = (choice: Partial<TinyChoice>) => lowered({ ...choice, optimizer: "muon" });

describe("a step of Muon", () => {
  it.each(updateChoices)("equals the unsplit model's: %s", (_, choice) =>
    checkUpdate({ ...choice, optimizer: "muon" }),
  );

  it("gives matrices a momentum and everything else AdamW's moments", () => {
    const { program } = muon({ model: "sharedMoe" });
    const byAlgorithm = new Map<string, string>();
    for (const block of program.blocks)
      for (const { algorithm, grad, states } of parameterUpdates(block))
        byAlgorithm.set(block.buffers[grad]!.param!.name, `${algorithm} ${states.length}`);
    expect(byAlgorithm.get("*.attention.qUp")).toBe("muon 1");
    expect(byAlgorithm.get("*.moe.experts.up")).toBe("muon 1");
    expect(byAlgorithm.get("*.moe.router")).toBe("muon 1");
    expect(byAlgorithm.get("*.moe.experts.up.bias")).toBe("adamw 2");
    expect(byAlgorithm.get("*.moe.sharedGate")).toBe("adamw 2");
    expect(byAlgorithm.get("*.norm1.weight")).toBe("adamw 2");
    expect(byAlgorithm.get("embedding.table")).toBe("adamw 2");
    expect(byAlgorithm.get("head.table")).toBe("adamw 2");
  });

  it("is found wrong when slices of other ranks never come", () => {
    const { program, request } = muon({ tensor: split });
    const wrong: Program = {
      ...program,
      blocks: program.blocks.map((block) => ({
        ...block,
        // Each rank sees its own slice twice.
        update: block.update.map((op) =>
          op.kind === "collective" && op.axis === "tp" ? { ...op, axis: "cp" as const } : op,
        ),
      })),
    };
    expect(() => expect(verifyProgram(wrong, request).updateMaxRelErr).toBeLessThan(1e-9)).toThrow();
  });

  it("is refused with an offloaded optimizer", () => {
    expect(() => muon({ offloadOptimizer: true })).toThrow(/Muon multiplies matrices on the device/);
  });
});

describe("orthogonalise()", () => {
  it("keeps singular vectors and brings singular values near 1", () => {
    // diag(3, 2, 0.5) of 3 x 5: the steps work on its singular values alone.
    const scratch = mat(1, 2 * 3 * 8);
    const room = roomIn(scratch, 3, 5);
    for (const [i, value] of [3, 2, 0.5].entries()) room.x.data[room.x.offset + i * 5 + i] = value;
    const result = orthogonalise(room, 5, matmul);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 5; j++) {
        const value = result.data[result.offset + i * 5 + j]!;
        if (i !== j) expect(Math.abs(value)).toBeLessThan(1e-12);
        else {
          expect(value).toBeGreaterThan(0.65);
          expect(value).toBeLessThan(1.25);
        }
      }
    }
  });
});

describe("the truth of Muon", () => {
  it("moves parameters", () => {
    const { program, request } = muon({});
    const truth = unsplitStep(request);
    const { outcome } = verifyProgram(program, request, truth);
    const before = truth.parameters.get("layers.0.ffn.up")!;
    const after = outcome.updated.get("layers.0.ffn.up")!;
    expect(after.some((value, i) => Math.abs(value - before[i]!) > 1e-5)).toBe(true);
  });
});
