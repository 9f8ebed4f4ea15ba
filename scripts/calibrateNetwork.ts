// Writes packages/core/src/cost/network/networkTables.json and exchangeTables.json from <shared>/data/network.
// Usage: npx tsx scripts/calibrateNetwork.ts [shared folder, default ../shared]
//
// Collectives: curves on powers of two, holes filled by analogy (network/completeGrid.ts); other grids stay as measured,
// noisy ones smoothed (network/smoothNoisy.ts). Expert exchange: curves over tokens. Accuracy on held-out points is printed
// by scripts/evaluateNetwork.ts.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildExchangeTables, buildNetworkTables } from "./network/buildTables.ts";

const shared = process.argv[2] ?? "../shared";
const folder = join(shared, "data/network");
const out = "packages/core/src/cost/network";
const write = (name: string, value: { readonly provenance: string }): void => {
  // One line per top-level entry keeps diffs readable and the file compact.
  const text = JSON.stringify(value).replaceAll(/("[^"]+\|[^"]+":)/g, "\n$1");
  writeFileSync(join(out, name), `${text}\n`);
  console.log(`${name}: ${(text.length / 1024).toFixed(0)} KiB`);
};
write(
  "networkTables.json",
  buildNetworkTables(folder, () => true),
);
write(
  "exchangeTables.json",
  buildExchangeTables(folder, () => true),
);
