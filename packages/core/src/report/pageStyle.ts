// Style of the pages that the command line writes: light and dark, paper and narrow screens, and the colours of the charts' parts (colours.ts), as
// classes: `part-tp` for time and losses, `mem-gradients` for memory.

import { lossColour, lossColours, memoryColours, type PartColour, timeColours } from "./colours.ts";

const parts: readonly (readonly [string, PartColour])[] = [
  ...Object.entries(timeColours).map(([key, colour]) => [`part-${key.replace("exposed_", "")}`, colour] as const),
  // A loss that is called like a time part has its colour.
  ...Object.keys(lossColours).map((key) => [`part-${key}`, lossColour(key)] as const),
  ...Object.entries(memoryColours).map(([key, colour]) => [`mem-${key}`, colour] as const),
];

/** Phases of a micro-batch in the greens of compute: forward lighter, weight gradients darker. */
const actions: readonly (readonly [string, PartColour])[] = [
  ["act-forward", { light: "#84bd9f", dark: "#86cfa8", tone: "green" }],
  ["act-weight", { light: "#1d5a3b", dark: "#2f7d55", tone: "green" }],
];

const rules = (shade: "light" | "dark") =>
  [...parts, ...actions]
    .map(([name, colour]) => `.${name}{fill:${colour[shade]};background:${colour[shade]}}`)
    .join("");

export const pageStyle = [
  ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6775;--line:#d5dbe3;--back:#fff;--bar:#6d8fc4;--best:#2f9e6e}",
  "@media screen and (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa5b4;--line:#39424f;--back:#161b22;--bar:#6d8fc4;--best:#3db883}}",
  "body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}",
  "main{max-width:1040px;margin:0 auto;padding:24px 20px 48px}",
  "h1{font-size:24px;line-height:1.25;margin:8px 0 12px}h2{font-size:18px;margin:32px 0 4px}h3{font-size:15px;margin:14px 0 0}",
  ".note,small,footer,figcaption{color:var(--soft)}.note{margin:0 0 10px}.verdict{padding-left:20px}h3+p{margin:0}",
  "svg{display:block;width:100%;height:auto;fill:var(--ink);font:13px system-ui,sans-serif}",
  "svg .axis{stroke:var(--line)}svg .whisker,svg .mark{stroke:var(--ink);stroke-width:1.5}svg .plain{fill:var(--bar)}svg .fastest{fill:var(--best)}",
  ".legend span{margin-right:14px;white-space:nowrap}i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px}",
  ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(380px,1fr));gap:20px;margin-top:32px}figure{margin:0}",
  ".wide{overflow-x:auto}.wide svg{min-width:680px}table{border-collapse:collapse;margin-top:12px;font-variant-numeric:tabular-nums}",
  "th,td{padding:4px 12px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}th:first-child{text-align:left;padding-left:0}th[scope=row]{font-weight:400;padding-left:0}.sub{color:var(--soft)}",
  ".plain-list{padding-left:18px;margin:6px 0}.words{margin:0;display:grid;grid-template-columns:max-content 1fr;gap:2px 16px}.words dt{color:var(--soft)}.words dd{margin:0}@media(max-width:560px){.words{grid-template-columns:1fr}.words dd{margin-bottom:6px}}",
  ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px 20px;margin:14px 0 0}.figures dt{color:var(--soft);font-size:13px}.figures dd{margin:0;font-size:19px;font-weight:600;font-variant-numeric:tabular-nums}.figures dd small{display:block;font-size:12px;font-weight:400}",
  "td.text,th.text{text-align:left;white-space:normal}.bad{color:#b03434}@media screen and (prefers-color-scheme:dark){.bad{color:#ee8080}}code{font:12px ui-monospace,monospace;overflow-wrap:anywhere}",
  "th.sub[scope=row]{padding-left:16px}footer{margin-top:40px;border-top:1px solid var(--line);padding-top:10px}@media print{h2{break-after:avoid}svg{break-inside:avoid}}",
  "svg .frame{fill:none;stroke:var(--line)}svg .peak{fill:var(--line)}svg .rest{fill:var(--soft)}",
  rules("light"),
  `@media screen and (prefers-color-scheme:dark){${rules("dark")}}`,
  "@media print{body{font-size:11px}main{max-width:none;padding:0}h1{font-size:19px}h2{font-size:14px;margin-top:18px}section{break-inside:avoid-page}.long{break-inside:auto}i{print-color-adjust:exact}.wide{overflow:visible}.wide svg{min-width:0}}",
].join("\n");
