import type { MoeGeometry, RoutingPolicy } from "@meshwright/core";
import { describe, expect, it } from "vitest";
import { gradientError, maxDifference, randomMat } from "./finiteDifference.fixture.ts";
import { at, mat, set } from "./mat.ts";
import {
  combine,
  combineBackward,
  expertOrder,
  permute,
  permuteBackward,
  regroup,
  router,
  routerBackward,
} from "./moe.ts";
import { chooseExperts, routingOrder } from "./routing.ts";

const layout = { batch: 1, seqLen: 6, cp: "none", ulyssesSplit: false, tpSplit: false } as const;
const geometryOf = (policy: RoutingPolicy, capacityFactor: number | null = null): MoeGeometry => ({
  experts: 4,
  topk: 2,
  localExperts: 4,
  policy,
  capacityFactor,
  layout,
});
const tokens = [0, 1, 2, 3, 4, 5];

describe("router", () => {
  it.each([{ kind: "balanced" }, { kind: "topk" }, { kind: "given", shares: [0.5, 0.25, 0.25, 0] }] as RoutingPolicy[])(
    "$kind: backward of the gates equals finite differences",
    (policy) => {
      const geometry = geometryOf(policy);
      const logits = randomMat("logits", 6, 4);
      const [probs, routing] = [mat(6, 4), mat(6, 2)];
      const run = () => {
        const gates = mat(6, 2);
        router(geometry, logits, probs, gates, routing, tokens);
        return gates;
      };
      const error = gradientError([logits], run, (dgates) => {
        const dlogits = mat(6, 4);
        routerBackward(run(), routing, dgates, dlogits);
        return [dlogits];
      });
      expect(error).toBeLessThan(1e-6);
    },
  );

  it("deals given shares to within one slot and never the same expert twice to a token", () => {
    const shares = [0.4, 0.3, 0.2, 0.1];
    const counts = [0, 0, 0, 0];
    for (let token = 0; token < 100; token++) {
      const chosen = chooseExperts(geometryOf({ kind: "given", shares }), mat(1, 4), 0, token);
      expect(new Set(chosen).size).toBe(2);
      for (const expert of chosen) counts[expert]!++;
    }
    for (const [e, share] of shares.entries()) expect(Math.abs(counts[e]! - 200 * share)).toBeLessThanOrEqual(1);
  });
});

describe("permute and combine", () => {
  it.each([null, 0.5, 1.5])("with capacity factor %s: backward equals finite differences", (capacityFactor) => {
    const geometry = geometryOf({ kind: "topk" }, capacityFactor);
    const routing = mat(6, 2);
    router(geometry, randomMat("logits", 6, 4), mat(6, 4), mat(6, 2), routing, tokens);
    const order = routingOrder(geometry, routing);
    const rows = order.copies.length;
    if (capacityFactor !== null) expect(order.counts).toEqual(Array(4).fill(Math.ceil((capacityFactor * 12) / 4)));

    const x = randomMat("x", 6, 3);
    expect(
      gradientError(
        [x],
        () => {
          const out = mat(rows, 3);
          permute(order, 2, x, out);
          return out;
        },
        (dout) => {
          const dx = mat(6, 3);
          permuteBackward(order, 2, dout, dx);
          return [dx];
        },
      ),
    ).toBeLessThan(1e-6);

    const y = randomMat("y", rows, 3);
    const gates = randomMat("gates", 6, 2);
    expect(
      gradientError(
        [y, gates],
        () => {
          const out = mat(6, 3);
          combine(order, 2, y, gates, out);
          return out;
        },
        (dout) => {
          const [dx, dgates] = [mat(rows, 3), mat(6, 2)];
          combineBackward(order, 2, { dout, x: y, gates, dx, dgates });
          return [dx, dgates];
        },
      ),
    ).toBeLessThan(1e-6);
  });

  it("regroup sorts rows by expert, and back", () => {
    // Row value = 10 source + expert, by source.
    const counts = [
      [2, 1],
      [0, 3],
    ];
    const x = mat(6, 1);
    for (const [i, value] of [0, 0, 1, 11, 11, 11].entries()) set(x, i, 0, value);
    const order = expertOrder(counts);
    const [sorted, back] = [mat(6, 1), mat(6, 1)];
    regroup(order, "toExperts", x, sorted);
    expect(Array.from({ length: 6 }, (_, i) => at(sorted, i, 0) % 10)).toEqual([0, 0, 1, 1, 1, 1]);
    regroup(order, "toSources", sorted, back);
    expect(maxDifference(back, x)).toBe(0);
  });
});
