// Writes docs/papers.md: what papers report, computed from the specs in examples/papers. Run after a change that moves predictions.
// Usage: npx tsx --conditions=meshwright-source scripts/writePapers.ts

import { writeFileSync } from "node:fs";
import { papersPage } from "./papers/page.ts";
import { makePredictor, publishedFile, root } from "./papers/predictor.ts";

const text = papersPage(publishedFile(), makePredictor());
writeFileSync(`${root}/docs/papers.md`, text);
console.log(`docs/papers.md: ${text.split("\n").find((line) => line.includes("figures come out")) ?? ""}`);
