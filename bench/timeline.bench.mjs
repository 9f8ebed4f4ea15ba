// Frame times of the timeline page with a million spans: a synthetic trace is opened as a person would open it, then panned and zoomed, one step a
// frame. Prints the time between frames (60 a second are 16.7 ms), the script time of a frame, and long tasks (over 50 ms).
//
//   node bench/timeline.bench.mjs [--spans 1000000] [--json]
//
// Needs the build and a Chromium. Without a GPU the browser paints in software, on the same cores that everything else shares: the time between frames
// is then an upper bound, the script time is the page's own.

import { once } from "node:events";
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openApp } from "../scripts/web/chromium.mjs";

const args = process.argv.slice(2);
const numSpans = Number(args[args.indexOf("--spans") + 1]) || 1_000_000;
const json = args.includes("--json");
const RANKS = 32;
const STREAMS = 4;
const FRAMES = 120;

const folder = mkdtempSync(join(tmpdir(), "timeline-bench-"));
const file = join(folder, "million.json");
await writeTrace(file);

const app = await openApp();
try {
  const context = await app.browser.newContext({ viewport: { width: 1600, height: 1000 } });
  const page = await context.newPage();
  await page.addInitScript(watchFrames);
  await page.goto(`${app.address}#/timeline`);
  await page.waitForSelector(".tl-scroll canvas");
  const openedFrom = performance.now();
  await page.locator("input[type=file][hidden]").setInputFiles(file);
  await page.waitForSelector(".badge", { timeout: 120_000 });
  const openMs = performance.now() - openedFrom;
  await page.getByRole("checkbox", { name: "predicted" }).uncheck();
  await page.waitForTimeout(1000);
  // Every row of every rank.
  await page.evaluate(async () => {
    for (;;) {
      const folded = document.querySelector(".tl-group[aria-expanded=false]");
      if (folded === null) return;
      folded.click();
      await new Promise((go) => setTimeout(go, 30));
    }
  });
  await page.waitForTimeout(1000);
  const rows = [];
  for (const [name, prepare, step] of [
    ["pan, whole trace in view", 0, { deltaX: 6 }],
    ["zoom in and out about the pointer", 0, { zoom: 30 }],
    ["pan, a tenth in view", 720, { deltaX: 12 }],
    ["pan, a thousandth in view", 1440, { deltaX: 12 }],
    ["scroll the rows", -3000, { scroll: 14 }],
  ])
    rows.push({ name, ...(await page.evaluate(drive, { prepare, step, frames: FRAMES })) });
  const report = { version: 1, numSpans, ranks: RANKS, rowsOfSpans: RANKS * STREAMS, openMs, rows };
  if (json) console.log(JSON.stringify(report, null, 2));
  else {
    console.log(`${numSpans} spans on ${RANKS * STREAMS} rows; opened in ${(openMs / 1000).toFixed(1)} s`);
    console.log(`${"".padEnd(36)} between frames, ms       script a frame, ms     long tasks`);
    console.log(`${"".padEnd(36)}  median    p95    max    median    p95    max`);
    for (const { name, betweenMs, scriptMs, longTasks } of rows) {
      const numbers = [...betweenMs, ...scriptMs].map((ms) => ms.toFixed(1).padStart(7));
      console.log(
        `${name.padEnd(36)} ${numbers.slice(0, 3).join("")}   ${numbers.slice(3).join("")}   ${String(longTasks.length).padStart(5)} ${longTasks.length > 0 ? `longest ${Math.max(...longTasks).toFixed(0)} ms` : ""}`,
      );
    }
  }
  if (errors(rows)) process.exitCode = 1;
} finally {
  await app.close();
  rmSync(folder, { recursive: true });
}

/** The page's own work must fit a frame. */
function errors(rows) {
  return rows.some(({ scriptMs }) => scriptMs[1] > 16.7);
}

async function writeTrace(path) {
  const out = createWriteStream(path);
  const names = [
    "gemm_bf16_128x256",
    "flash_fwd",
    "rmsnorm",
    "ncclDevKernel_AllGather_RING",
    "ncclDevKernel_ReduceScatter",
    "elementwise",
  ];
  out.write('{"traceEvents":[\n{"ph":"M","pid":0,"name":"process_name","args":{"name":"rank 0"}}');
  let seed = 12345;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const perRow = Math.ceil(numSpans / (RANKS * STREAMS));
  for (let rank = 0; rank < RANKS; rank++) {
    for (let stream = 0; stream < STREAMS; stream++) {
      let ts = 0;
      let text = "";
      for (let i = 0; i < perRow; i++) {
        const dur = Math.round(1000 * (1 + 400 * random() ** 4)) / 1000;
        const name = names[Math.floor(random() * names.length)];
        text += `,\n{"ph":"X","cat":"kernel","pid":${rank},"tid":${stream},"ts":${ts.toFixed(3)},"dur":${dur},"name":"${name}"}`;
        ts += dur + (random() < 0.2 ? 60 * random() : 0);
        if (text.length > 1 << 20) {
          if (!out.write(text)) await once(out, "drain");
          text = "";
        }
      }
      if (!out.write(text)) await once(out, "drain");
    }
  }
  out.end("\n]}\n");
  await once(out, "finish");
}

/** In the page, before the app: script time of every frame, and long tasks. */
function watchFrames() {
  const plain = window.requestAnimationFrame.bind(window);
  window.benchScript = new Map();
  window.benchFrame = plain;
  window.requestAnimationFrame = (callback) =>
    plain((now) => {
      const from = performance.now();
      callback(now);
      window.benchScript.set(now, (window.benchScript.get(now) ?? 0) + performance.now() - from);
    });
  window.benchLong = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.benchLong.push({ at: entry.startTime, ms: entry.duration });
  }).observe({ type: "longtask" });
}

/** In the page: one wheel event a frame. */
async function drive({ prepare, step, frames }) {
  const scroller = document.querySelector(".tl-scroll");
  const box = scroller.getBoundingClientRect();
  const at = { clientX: box.left + box.width * 0.55, clientY: box.top + 120, bubbles: true, cancelable: true };
  const canvas = scroller.querySelector("canvas");
  const wheel = (more) => canvas.dispatchEvent(new WheelEvent("wheel", { ...at, ...more }));
  const next = () => new Promise((go) => window.benchFrame(go));
  for (let i = 0; i < 10; i++) {
    wheel({ ctrlKey: true, deltaY: 2000 });
    await next();
  }
  for (let left = prepare; left > 0; left -= 120) {
    wheel({ ctrlKey: true, deltaY: -120 });
    await next();
  }
  await new Promise((go) => setTimeout(go, 300));
  const startedAt = performance.now();
  window.benchScript.clear();
  const between = [];
  let before = await next();
  for (let i = 0; i < frames; i++) {
    const back = i % 60 >= 30;
    if (step.zoom !== undefined) wheel({ ctrlKey: true, deltaY: (i % frames) * 2 < frames ? -step.zoom : step.zoom });
    else if (step.scroll !== undefined) scroller.scrollTop += back ? -step.scroll : step.scroll;
    else wheel({ deltaX: back ? -step.deltaX : step.deltaX });
    const now = await next();
    between.push(now - before);
    before = now;
  }
  await new Promise((go) => setTimeout(go, 200));
  const figures = (list) => {
    const sorted = [...list].sort((a, b) => a - b);
    return [sorted[sorted.length >> 1] ?? 0, sorted[Math.floor(sorted.length * 0.95)] ?? 0, sorted.at(-1) ?? 0];
  };
  return {
    betweenMs: figures(between),
    scriptMs: figures(window.benchScript.values()),
    longTasks: window.benchLong.filter((entry) => entry.at >= startedAt).map((entry) => entry.ms),
  };
}
