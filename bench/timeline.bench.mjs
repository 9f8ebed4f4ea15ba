// Frame times of the timeline page with a million spans: a synthetic trace is opened as a person would open it, then panned and zoomed, one step a
// frame. Prints the time between frames (60 a second are 16.7 ms), CPU time of the page's thread for each frame, and long tasks (over 50 ms).
//
//   node bench/timeline.bench.mjs [--spans 1000000] [--json]
//
// Needs the build and a Chromium. Without a GPU the browser paints in software, on the same cores that everything else shares: on a busy machine the time
// between frames and long tasks (wall time) say more about the others; the CPU time is the page's own, and is what must fit a frame.

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
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const cpuMs = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return 1000 * metrics.find(({ name }) => name === "TaskDuration").value;
  };
  const rows = [];
  for (const [name, closer, step] of [
    ["pan, whole trace in view", 0, { deltaX: 6 }],
    ["pan by broken pixels, whole trace in view", 0, { deltaX: 6.37 }],
    ["zoom in and out about the pointer", 0, { zoom: 30 }],
    ["pan, a tenth in view", 720, { deltaX: 12 }],
    ["pan, a thousandth in view", 2160, { deltaX: 12 }],
    ["scroll the rows", 0, { scroll: 14 }],
  ]) {
    await page.evaluate(prepare, closer);
    const before = await cpuMs();
    const measured = await page.evaluate(drive, { step, frames: FRAMES });
    rows.push({ name, cpuMs: ((await cpuMs()) - before) / FRAMES, ...measured });
  }
  const report = { version: 1, numSpans, ranks: RANKS, rowsOfSpans: RANKS * STREAMS, openMs, rows };
  if (json) console.log(JSON.stringify(report, null, 2));
  else {
    console.log(`${numSpans} spans on ${RANKS * STREAMS} rows; opened in ${(openMs / 1000).toFixed(1)} s`);
    console.log(`${"".padEnd(42)}  CPU a frame    between frames, ms      long tasks`);
    console.log(`${"".padEnd(42)}    mean, ms   median    p95    max`);
    for (const { name, cpuMs: cpu, betweenMs, longTasks } of rows) {
      const longest = longTasks.length > 0 ? `longest ${Math.max(...longTasks).toFixed(0)} ms` : "";
      const numbers = betweenMs.map((ms) => ms.toFixed(1).padStart(7)).join("");
      console.log(
        `${name.padEnd(42)} ${cpu.toFixed(1).padStart(10)}   ${numbers}   ${String(longTasks.length).padStart(7)} ${longest}`,
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
  return rows.some((row) => row.cpuMs > 16.7);
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

/** In the page, before the app: long tasks. */
function watchFrames() {
  window.benchLong = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.benchLong.push({ at: entry.startTime, ms: entry.duration });
  }).observe({ type: "longtask" });
  window.benchFrame = () => new Promise((go) => requestAnimationFrame(go));
  window.benchWheel = (more) => {
    const scroller = document.querySelector(".tl-scroll");
    const box = scroller.getBoundingClientRect();
    const at = { clientX: box.left + box.width * 0.55, clientY: box.top + 120, bubbles: true, cancelable: true };
    scroller.querySelector("canvas").dispatchEvent(new WheelEvent("wheel", { ...at, ...more }));
  };
}

/** In the page: everything in view, then closer by so many wheel units. */
async function prepare(closer) {
  for (let i = 0; i < 10; i++) {
    window.benchWheel({ ctrlKey: true, deltaY: 2000 });
    await window.benchFrame();
  }
  for (let left = closer; left > 0; left -= 120) {
    window.benchWheel({ ctrlKey: true, deltaY: -120 });
    await window.benchFrame();
  }
  // Away from the edge, where a pan would stop.
  if (closer === 0) window.benchWheel({ ctrlKey: true, deltaY: -60 });
  await new Promise((go) => setTimeout(go, 400));
}

/** In the page: one wheel event a frame. */
async function drive({ step, frames }) {
  const scroller = document.querySelector(".tl-scroll");
  const startedAt = performance.now();
  const between = [];
  let before = await window.benchFrame();
  for (let i = 0; i < frames; i++) {
    const back = i % 60 >= 30;
    if (step.zoom !== undefined) window.benchWheel({ ctrlKey: true, deltaY: i * 2 < frames ? -step.zoom : step.zoom });
    else if (step.scroll !== undefined) scroller.scrollTop += back ? -step.scroll : step.scroll;
    else window.benchWheel({ deltaX: back ? -step.deltaX : step.deltaX });
    const now = await window.benchFrame();
    between.push(now - before);
    before = now;
  }
  const sorted = between.sort((a, b) => a - b);
  return {
    betweenMs: [sorted[sorted.length >> 1], sorted[Math.floor(sorted.length * 0.95)], sorted.at(-1)],
    longTasks: window.benchLong.filter((entry) => entry.at >= startedAt).map((entry) => entry.ms),
  };
}
