// Small schedules in full, p = 4, to be compared with the figures of their papers by eye.

import { expect, it } from "vitest";
import { printSchedule } from "./print.ts";
import { buildSchedule } from "./registry.ts";

const goldens: readonly { name: string; figure: string; numMicroBatches: number; numChunks: number; text: string }[] = [
  {
    name: "gpipe",
    figure: "arXiv 1811.06965 figure 2c",
    numMicroBatches: 4,
    numChunks: 1,
    text: `
F0 F1 F2 F3 B3 B2 B1 B0
F0 F1 F2 F3 B3 B2 B1 B0
F0 F1 F2 F3 B3 B2 B1 B0
F0 F1 F2 F3 B3 B2 B1 B0`,
  },
  {
    name: "1f1b",
    figure: "arXiv 2104.04473 figure 4, top",
    numMicroBatches: 8,
    numChunks: 1,
    text: `
F0 F1 F2 F3 B0 F4 B1 F5 B2 F6 B3 F7 B4 B5 B6 B7
F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 F6 B4 F7 B5 B6 B7
F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7
F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7`,
  },
  {
    name: "interleaved",
    figure: "arXiv 2104.04473 figure 4, bottom",
    numMicroBatches: 8,
    numChunks: 2,
    text: `
F0 F1 F2 F3 F0a F1a F2a F3a F4 F5 F6 B0a F7 B1a F4a B2a F5a B3a F6a B0 F7a B1 B2 B3 B4a B5a B6a B7a B4 B5 B6 B7
F0 F1 F2 F3 F0a F1a F2a F3a F4 B0a F5 B1a F6 B2a F7 B3a F4a B0 F5a B1 F6a B2 F7a B3 B4a B5a B6a B7a B4 B5 B6 B7
F0 F1 F2 F3 F0a F1a F2a B0a F3a B1a F4 B2a F5 B3a F6 B0 F7 B1 F4a B2 F5a B3 F6a B4a F7a B5a B6a B7a B4 B5 B6 B7
F0 F1 F2 F3 F0a B0a F1a B1a F2a B2a F3a B3a F4 B0 F5 B1 F6 B2 F7 B3 F4a B4a F5a B5a F6a B6a F7a B7a B4 B5 B6 B7`,
  },
  {
    name: "breadth-first",
    figure: "arXiv 2211.05953 figure 4d",
    numMicroBatches: 4,
    numChunks: 2,
    text: `
F0 F1 F2 F3 F0a F1a F2a F3a B0a B1a B2a B3a B0 B1 B2 B3
F0 F1 F2 F3 F0a F1a F2a F3a B0a B1a B2a B3a B0 B1 B2 B3
F0 F1 F2 F3 F0a F1a F2a F3a B0a B1a B2a B3a B0 B1 B2 B3
F0 F1 F2 F3 F0a F1a F2a F3a B0a B1a B2a B3a B0 B1 B2 B3`,
  },
  {
    name: "zb-h1",
    figure: "arXiv 2401.10241 figure 2",
    numMicroBatches: 8,
    numChunks: 1,
    text: `
F0 F1 F2 F3 B0 W0 F4 B1 W1 F5 B2 W2 F6 B3 W3 F7 B4 W4 B5 W5 B6 W6 B7 W7
F0 F1 F2 B0 F3 B1 W0 F4 B2 W1 F5 B3 W2 F6 B4 W3 F7 B5 W4 B6 W5 B7 W6 W7
F0 F1 B0 F2 B1 F3 B2 W0 F4 B3 W1 F5 B4 W2 F6 B5 W3 F7 B6 W4 B7 W5 W6 W7
F0 B0 F1 B1 F2 B2 F3 B3 W0 F4 B4 W1 F5 B5 W2 F6 B6 W3 F7 B7 W4 W5 W6 W7`,
  },
  {
    name: "zb-h2",
    figure: "arXiv 2401.10241 figure 3",
    numMicroBatches: 8,
    numChunks: 1,
    text: `
F0 F1 F2 F3 F4 F5 F6 B0 W0 F7 B1 W1 B2 W2 B3 W3 B4 W4 B5 W5 B6 W6 B7 W7
F0 F1 F2 F3 F4 B0 F5 B1 F6 B2 W0 F7 B3 W1 B4 W2 B5 W3 B6 W4 B7 W5 W6 W7
F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 F6 B4 W0 F7 B5 W1 B6 W2 B7 W3 W4 W5 W6 W7
F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 W0 F7 B7 W1 W2 W3 W4 W5 W6 W7`,
  },
  {
    name: "zb-auto",
    figure: "heuristic: no figure",
    numMicroBatches: 8,
    numChunks: 1,
    text: `
F0 F1 F2 F3 F4 F5 F6 B0 F7 B1 W0 B2 W1 B3 W2 B4 W3 B5 W4 B6 W5 B7 W6 W7
F0 F1 F2 F3 F4 B0 F5 B1 F6 B2 F7 B3 W0 B4 W1 B5 W2 B6 W3 B7 W4 W5 W6 W7
F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 F6 B4 F7 B5 W0 B6 W1 B7 W2 W3 W4 W5 W6 W7
F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7 W0 W1 W2 W3 W4 W5 W6 W7`,
  },
  {
    name: "zb-v",
    figure: "arXiv 2405.15362, V-ZB",
    numMicroBatches: 8,
    numChunks: 2,
    text: `
F0 F1 F2 F3 F4 F5 F6 F0a B0a W0a F1a B1a W1a F2a B2a W2a F3a B3a W3a F7 B0 W0 F4a B4a W4a B1 W1 F5a B5a W5a B2 W2 F6a B6a W6a B3 W3 F7a B7a W7a B4 W4 B5 W5 B6 W6 B7 W7
F0 F1 F2 F3 F4 F0a F5 F1a B0a W0a F2a B1a W1a F3a B2a W2a F6 B0 W0 F4a B3a W3a F7 B1 W1 F5a B4a W4a B2 W2 F6a B5a W5a B3 W3 F7a B6a W6a B4 B7a B5 W4 B6 W5 B7 W6 W7a W7
F0 F1 F2 F0a F3 F1a F4 F2a B0a W0a F3a B1a W1a F5 B0 W0 F4a B2a W2a F6 B1 W1 F5a B3a W3a F7 B2 W2 F6a B4a W4a B3 W3 F7a B5a W5a B4 B6a B5 B7a B6 W4 B7 W5 W6a W7a W6 W7
F0 F0a F1 F1a F2 F2a F3 F3a B0a W0a F4 B0 W0 F4a B1a W1a F5 B1 W1 F5a B2a W2a F6 B2 W2 F6a B3a W3a F7 B3 W3 F7a B4a W4a B4 B5a B5 B6a B6 B7a B7 W4 W5a W6a W7a W5 W6 W7`,
  },
  {
    name: "v-half",
    figure: "arXiv 2405.15362, V-Half",
    numMicroBatches: 8,
    numChunks: 2,
    text: `
F0 F1 F2 F3 F4 F0a B0a W0a F1a B1a W1a F2a B0 B2a W0 F3a W2a F5 B1 B3a W1 F4a W3a F6 B2 B4a W2 F5a W4a F7 B3 B5a W3 F6a B6a B4 W5a W6a W4 F7a B7a B5 W7a B6 W5 W6 B7 W7
F0 F1 F2 F3 F0a F1a B0a W0a F2a B1a W1a B0 F4 W0 F3a B2a B1 W2a F5 W1 F4a B3a B2 W3a F6 W2 F5a B4a B3 W4a F7 W3 F6a B5a B4 B6a W5a W4 F7a W6a B5 B7a B6 W5 W7a W6 B7 W7
F0 F1 F2 F0a F1a F2a B0a W0a F3 B1a B0 W1a W0 F3a F4 B1 B2a W1 W2a F4a F5 B2 B3a W2 W3a F5a F6 B3 B4a W3 W4a F6a F7 B4 B5a W4 W5a F7a B6a B5 W6a B6 B7a W5 W6 B7 W7a W7
F0 F0a F1 F1a F2 F2a B0a B0 W0a F3 W0 F3a B1a B1 W1a F4 W1 F4a B2a B2 W2a F5 W2 F5a B3a B3 W3a F6 W3 F6a B4a B4 W4a F7 W4 F7a B5a B5 B6a B6 W5a W5 B7a B7 W6a W6 W7a W7`,
  },
  {
    name: "v-min",
    figure: "arXiv 2405.15362, V-Min",
    numMicroBatches: 8,
    numChunks: 2,
    text: `
F0 F1 F2 F0a B0a W0a F1a B1a W1a B0 F3 W0 F2a B2a B1 W2a F4 W1 F3a B3a B2 W3a F5 W2 F4a B4a B3 W4a F6 W3 F5a B5a B4 W5a F7 W4 F6a B6a B5 W6a W5 F7a B7a B6 W7a W6 B7 W7
F0 F1 F0a F1a B0a W0a F2 B1a W1a B0 W0 F2a F3 B1 B2a W1 W2a F3a F4 B2 B3a W2 W3a F4a F5 B3 B4a W3 W4a F5a F6 B4 B5a W4 W5a F6a F7 B5 B6a W5 W6a F7a B6 B7a W6 W7a B7 W7
F0 F1 F0a F1a B0a W0a F2 B0 B1a W0 W1a F2a B1 F3 W1 B2a F3a W2a B2 F4 W2 B3a F4a W3a B3 F5 W3 B4a F5a W4a B4 F6 W4 B5a F6a W5a B5 F7 W5 B6a F7a W6a B6 W6 B7a W7a B7 W7
F0 F0a F1 F1a B0a B0 W0a F2 W0 F2a B1a B1 W1a W1 F3 F3a B2a B2 W2a W2 F4 F4a B3a B3 W3a W3 F5 F5a B4a B4 W4a W4 F6 F6a B5a B5 W5a W5 F7 F7a B6a B6 W6a W6 B7a B7 W7a W7`,
  },
  {
    name: "2bp",
    figure: "arXiv 2405.18047 figure 1, 1F1B-2 with 2BP",
    numMicroBatches: 8,
    numChunks: 1,
    text: `
F0 F1 F2 F3 B0 F4 B1 F5 B2 F6 B3 F7 B4 W0 B5 W1 B6 W2 B7 W3 W4 W5 W6 W7
F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 F6 B4 F7 B5 W0 B6 W1 B7 W2 W3 W4 W5 W6 W7
F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 W0 B7 W1 W2 W3 W4 W5 W6 W7
F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7 W0 W1 W2 W3 W4 W5 W6 W7`,
  },
  {
    name: "chimera",
    figure: "arXiv 2107.06925 figure 3",
    numMicroBatches: 4,
    numChunks: 2,
    text: `
F0 F1 F2a B2a F3a B3a B0 B1
F0 F2a F1 F3a B2a B0 B3a B1
F2a F0 F3a F1 B0 B2a B1 B3a
F2a F3a F0 B0 F1 B1 B2a B3a`,
  },
  {
    name: "hanayo",
    figure: "arXiv 2308.15762, one wave",
    numMicroBatches: 4,
    numChunks: 2,
    text: `
F0 F1 F2 F3 F0a B0a F1a B1a F2a B2a F3a B3a B0 B1 B2 B3
F0 F1 F2 F0a F3 F1a B0a F2a B1a F3a B2a B0 B3a B1 B2 B3
F0 F1 F0a F2 F1a F3 F2a B0a F3a B1a B0 B2a B1 B3a B2 B3
F0 F0a F1 F1a F2 F2a F3 F3a B0a B0 B1a B1 B2a B2 B3a B3`,
  },
  {
    name: "bitpipe",
    figure: "arXiv 2410.19367, one unit",
    numMicroBatches: 4,
    numChunks: 4,
    text: `
F0 F1 F2b F2c F3b F3c F0a B0a F1a B1a B2c B2b B3c B3b B0 B1
F0 F2b F1 F3b F2c F0a F3c F1a B0a B2c B1a B3c B2b B0 B3b B1
F2b F0 F3b F1 F0a F2c F1a F3c B2c B0a B3c B1a B0 B2b B1 B3b
F2b F3b F0 F0a F1 F1a F2c B2c F3c B3c B0a B0 B1a B1 B2b B3b`,
  },
  {
    name: "dualpipe",
    figure: "arXiv 2412.19437 figure 5 shows p = 8, m = 20",
    numMicroBatches: 8,
    numChunks: 2,
    text: `
F0 F1 F2 F4a B4a W4a F5a F3&BW5a F6a&BW0 BW6a F7a&BW1 BW7a B2 W2 B3 W3
F0 F4a F1 F5a F2 BW4a F6a&BW0 F3&BW5a F7a&BW1 BW6a BW2 B7a B3 W7a W3
F4a F0 F5a F1 F6a BW0 F2&BW4a F7a&BW1 F3&BW5a BW2 BW6a B3 B7a W3 W7a
F4a F5a F6a F0 B0 W0 F1 F7a&BW1 F2&BW4a BW2 F3&BW5a BW3 B6a W6a B7a W7a`,
  },
  {
    name: "dualpipe-v",
    figure: "deepseek-ai/DualPipe",
    numMicroBatches: 8,
    numChunks: 2,
    text: `
F0 F1 F2 F3 F4 F5 F6 F0a B0a W0a F1a B1a W1a F2a B2a W2a F3a F7&BW3a F4a&BW0 BW4a F5a&BW1 BW5a F6a&BW2 BW6a F7a&BW3 BW7a B4 W4 B5 W5 B6 W6 B7 W7
F0 F1 F2 F3 F4 F0a F5 F1a B0a W0a F2a B1a W1a F3a F6&BW2a F4a&BW0 F7&BW3a F5a&BW1 BW4a F6a&BW2 BW5a F7a&BW3 BW6a BW4 B7a B5 W7a B6 W5 B7 W6 W7
F0 F1 F2 F0a F3 F1a F4 F2a B0a W0a F3a F5&BW1a F4a&BW0 F6&BW2a F5a&BW1 F7&BW3a F6a&BW2 BW4a F7a&BW3 BW5a BW4 BW6a B5 B7a B6 W5 B7 W7a W6 W7
F0 F0a F1 F1a F2 F2a F3 F3a F4 BW0a F4a&BW0 F5&BW1a F5a&BW1 F6&BW2a F6a&BW2 F7&BW3a F7a&BW3 BW4a BW4 BW5a BW5 B6a B6 B7a B7 W6a W6 W7a W7`,
  },
];

it.each(goldens)("$name prints as in $figure", ({ name, numMicroBatches, numChunks, text }) => {
  const schedule = buildSchedule(name, { numRanks: 4, numMicroBatches, numChunks });
  expect(`\n${printSchedule(schedule)}`).toBe(text);
});
