import { expect, test } from "vitest";
import { specOf, stepOf } from "./jobs.fixture.ts";
import { hardwareKnobs } from "./knobs.ts";

const islands = {
  groups: ["west", "east"].map((island) => ({ name: island, island, device: "a100-80g", nodes: 1 })),
  links: { nics: { count: 1, speed: "10Gb/s" } },
};
const spec = specOf({ cluster: islands, strategy: { tp: 8, pp: 1 } });
const knob = (id: string) => hardwareKnobs.find((each) => each.id === id)!;

test("a knob turns what every device of a mixed cluster sees, and links between islands apart from NICs", () => {
  const faster = knob("island_link").turn({ spec, options: {} }, 2)!;
  expect(stepOf(faster.spec).stepSec).toBeLessThan(0.9 * stepOf(spec).stepSec);
  // Each island is one node: no fabric to turn.
  expect(knob("nic").turn({ spec, options: {} }, 2)).toBeNull();
  const peak = knob("peak").turn({ spec, options: {} }, 2)!;
  expect(stepOf(peak.spec).stepSec).toBeLessThan(stepOf(spec).stepSec);
  expect(knob("island_link").turn({ spec: specOf(), options: {} }, 2)).toBeNull();
});
