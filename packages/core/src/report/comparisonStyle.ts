// Style of the comparison's page: light and dark, paper and narrow screens, and the colours of the charts' parts.

import { components } from "./comparison.ts";
import { memoryParts } from "./stepParts.ts";

/** Hues apart for what computes (greens), waits for the network (warm), for the pipeline (reds) and for the host (violets). */
const partColours: Readonly<Record<string, string>> = {
  kernels: "#2f9e6e",
  memory: "#8ccfae",
  recompute: "#4c7fd0",
  tp: "#f2b134",
  cp: "#d98e04",
  ep: "#a8722a",
  dp: "#e8d06a",
  pp: "#c9a27a",
  copy: "#b58ad6",
  host: "#8557b5",
  imbalance: "#e58a8a",
  bubble: "#cf4b4b",
  optimizer: "#3fb6c9",
  straggler: "#94363f",
};

const memoryColours: Readonly<Record<string, string>> = {
  parameters: "#4c7fd0",
  gradients: "#3fb6c9",
  optimizer: "#2f9e6e",
  activations: "#f2b134",
  workspace: "#b58ad6",
  fragmentation: "#cf4b4b",
  reserved: "#8a94a3",
};

function colourRules(prefix: string, keys: readonly string[], colours: Readonly<Record<string, string>>): string {
  return keys.map((key) => `.${prefix}-${key}{fill:${colours[key]};background:${colours[key]}}`).join("");
}

export const comparisonStyle = [
  ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6775;--line:#d5dbe3;--back:#fff;--bar:#6d8fc4;--best:#2f9e6e}",
  "@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa5b4;--line:#39424f;--back:#161b22;--bar:#6d8fc4;--best:#3db883}}",
  "body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}",
  "main{max-width:1040px;margin:0 auto;padding:24px 20px 48px}",
  "h1{font-size:24px;line-height:1.25;margin:8px 0 12px}h2{font-size:18px;margin:32px 0 4px}h3{font-size:15px;margin:14px 0 0}",
  ".note,small,footer,figcaption{color:var(--soft)}.note{margin:0 0 10px}.verdict{padding-left:20px}h3+p{margin:0}",
  "svg{display:block;width:100%;height:auto;fill:var(--ink);font:13px system-ui,sans-serif}",
  "svg .axis{stroke:var(--line)}svg .whisker,svg .mark{stroke:var(--ink);stroke-width:1.5}svg .plain{fill:var(--bar)}svg .fastest{fill:var(--best)}",
  ".legend span{margin-right:14px;white-space:nowrap}i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px}",
  ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:20px;margin-top:32px}figure{margin:0}",
  ".wide{overflow-x:auto}.wide svg{min-width:680px}table{border-collapse:collapse;margin-top:12px;font-variant-numeric:tabular-nums}",
  "th,td{padding:4px 12px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}th[scope=row]{text-align:left;font-weight:400;padding-left:0}.sub{color:var(--soft)}",
  "th.sub[scope=row]{padding-left:16px}footer{margin-top:40px;border-top:1px solid var(--line);padding-top:10px}@media print{h2{break-after:avoid}svg{break-inside:avoid}}",
  colourRules(
    "part",
    components.map((part) => part.key),
    partColours,
  ),
  colourRules(
    "mem",
    memoryParts.map((part) => part.key),
    memoryColours,
  ),
].join("\n");
