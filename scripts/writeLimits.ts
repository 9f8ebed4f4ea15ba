// Writes packages/core/src/validate/data/limits.json: the errors per source that `npm test` holds predictions to.
// Usage: npx tsx scripts/writeLimits.ts. Run it after a change that makes predictions better; a limit that rises needs a reason in the commit.

import { readFileSync, writeFileSync } from "node:fs";
import { predictStep } from "../packages/core/src/simulate/index.ts";
import { guardKey, guardSummary, limitOf } from "../packages/core/src/validate/accuracyGuard.ts";

const out = "packages/core/src/validate/data/limits.json";
const before = readLimits();
const entries = guardSummary((spec, options) => predictStep(spec, { ...options, suggest: false }));
const limits = Object.fromEntries(entries.map((entry) => [guardKey(entry), Number(limitOf(entry).toFixed(2))]));
for (const [key, limit] of Object.entries(limits)) {
  const old = before[key];
  if (old !== undefined && limit > old) console.log(`${key}: ${old} -> ${limit} (worse)`);
}
writeFileSync(out, `${JSON.stringify(limits, null, 1)}\n`);
console.log(`${out}: ${entries.length} limits`);

function readLimits(): Record<string, number> {
  try {
    return JSON.parse(readFileSync(out, "utf8")) as Record<string, number>;
  } catch {
    return {};
  }
}
