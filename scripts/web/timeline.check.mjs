// What people do on the timeline and memory pages.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { linkTo } from "./chromium.mjs";

const run = {
  model: "llama-3.1-8b",
  cluster: "16xh100-sxm",
  workload: { seq: 4096, global_batch: 64 },
  software: "megatron-core",
  strategy: { tp: 2, pp: 4 },
};

/** A profiler's trace: two kernels and a collective on one device. */
const trace = JSON.stringify({
  traceEvents: [
    { ph: "M", pid: 0, name: "process_labels", args: { labels: "GPU 0" } },
    { ph: "X", cat: "kernel", pid: 0, tid: 7, ts: 1000, dur: 400_000, name: "sm90_gemm", args: { grid: [8, 1, 1] } },
    {
      ph: "X",
      cat: "kernel",
      pid: 0,
      tid: 9,
      ts: 300_000,
      dur: 600_000,
      name: "ncclDevKernel_AllGather",
      args: { "Process Group Description": "mesh_dp_shard" },
    },
    { ph: "X", cat: "kernel", pid: 0, tid: 7, ts: 1_000_000, dur: 200_000, name: "sm90_gemm" },
  ],
});

const open = async (page, address, id, state) => {
  await page.goto(linkTo(address, id, state.run, state.views));
};
const shown = (page) => page.locator(".tl-map-shown").evaluate(({ style }) => `${style.left} ${style.width}`);
/** Waits until the view has come to rest somewhere else. */
async function moved(page, before) {
  for (let i = 0; i < 200; i++) {
    await page.waitForTimeout(100);
    const now = await shown(page);
    await page.waitForTimeout(400);
    if (now !== before && now === (await shown(page))) return now;
  }
  throw new Error(`the view stayed at ${before}`);
}
const pickFile = (page, name, body) =>
  page.getByLabel("Trace file").setInputFiles({ name, mimeType: "application/json", buffer: Buffer.from(body) });

export const checks = [
  {
    name: "timeline: two schedules stand side by side in the same time",
    run: async ({ page, address }) => {
      await open(page, address, "timeline", { run, views: {} });
      await page.locator(".tl-panel").first().waitFor();
      await page.getByLabel("What stands beside this job").selectOption("gpipe");
      await page.locator(".tl-panel").nth(1).waitFor();
      assert.match(await page.locator(".tl-title").nth(1).innerText(), /schedule=gpipe.*MFU/s);
      const before = await shown(page);
      const box = await page.locator(".tl-view").nth(1).boundingBox();
      await page.mouse.move(box.x + box.width / 2, box.y + 40);
      await page.keyboard.down("Control");
      await page.mouse.wheel(0, -400);
      await page.keyboard.up("Control");
      const zoomed = await moved(page, before);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width / 2 - 120, box.y + 40, { steps: 4 });
      await page.mouse.up();
      await moved(page, zoomed);
    },
  },
  {
    name: "timeline: a measured trace opens beside the prediction, plain and packed; a damaged one says where and loses nothing",
    run: async ({ page, address }) => {
      await open(page, address, "timeline", { run, views: {} });
      await page.locator(".tl-panel").first().waitFor();
      await pickFile(page, "measured.json", trace);
      await page.locator(".tl-panel").nth(1).waitFor();
      await pickFile(page, "packed.json.gz", gzipSync(trace));
      await page.locator(".tl-panel").nth(2).waitFor();
      await page.getByText("Tables: the same in text").click();
      await page.getByLabel("Timeline", { exact: true }).last().selectOption({ label: "measured.json" });
      const ranks = await page.locator(".tl-tables table").first().innerText();
      assert.match(ranks, /GPU 0\s+600 ms\s+499 ms\s+100 ms/, "compute, exposed and idle time of the trace");
      await pickFile(page, "cut.json", trace.slice(0, 300));
      await page.getByText("cut.json was not opened").waitFor();
      await page.getByText(/ends in the middle of an event/).waitFor();
      await pickFile(page, "cut.json.gz", gzipSync(trace).subarray(0, 90));
      await page.getByText("is not a complete gzip").waitFor();
      await pickFile(page, "letter.json", "Dear reader");
      await page.getByText("This is not a Chrome trace").waitFor();
      assert.equal(await page.locator(".tl-panel").count(), 3);
    },
  },
  {
    name: "timeline: by keyboard alone: zoom, search, pin, walk, unpin",
    run: async ({ page, address }) => {
      await open(page, address, "timeline", { run, views: {} });
      await page.locator(".tl-panel").first().waitFor();
      let at = await shown(page);
      await page.keyboard.press("w");
      at = await moved(page, at);
      await page.keyboard.press("d");
      at = await moved(page, at);
      await page.keyboard.press("f");
      await moved(page, at);
      await page.keyboard.press("/");
      await page.keyboard.type("attention");
      await page.keyboard.press("Enter");
      const pinned = page.locator(".tl-side h2");
      await pinned.filter({ hasText: "attention" }).waitFor();
      const facts = await page.locator(".tl-side dl").innerText();
      for (const word of ["duration", "uncertainty", "priced by", "shape", "work"])
        assert.ok(facts.includes(word), word);
      await page.keyboard.press("Escape");
      await page.locator(".tl-scroll").focus();
      const starts = page.locator(".tl-side dl > div", { hasText: "starts" });
      const before = await starts.innerText();
      await page.keyboard.press("Shift+ArrowRight");
      await starts.filter({ hasNotText: before.split(/\s+/).slice(1).join(" ") }).waitFor();
      await page.keyboard.press("Escape");
      await pinned.filter({ hasText: "Nothing pinned" }).waitFor();
      await page.keyboard.press("c");
      await page.locator("button[aria-pressed=true]", { hasText: "Critical path" }).waitFor();
    },
  },
  {
    name: "timeline: the schedule player steps through 1F1B and counts its stashes",
    run: async ({ page, address }) => {
      const player = { family: "1f1b", beside: "gpipe", numRanks: 4, numMicroBatches: 8, numChunks: 2 };
      await open(page, address, "timeline", { run, views: { timeline: { tab: "player", player } } });
      const now = page.locator(".tl-now").first();
      await now.waitFor();
      await page.keyboard.press(".");
      assert.match(await now.innerText(), /rank 0\s+F1/);
      for (let i = 0; i < 6; i++) await page.keyboard.press(".");
      assert.match(await now.innerText(), /rank 0\s+idle\s+B0 in 3.0\s+4\s+4/);
      await page.keyboard.press(",");
      await page.getByLabel("schedule", { exact: true }).selectOption("dualpipe");
      await page.getByLabel("micro-batches").fill("7");
      await page.getByLabel("micro-batches").press("Enter");
      await page.getByText("dualpipe does not take these numbers").waitFor();
    },
  },
  {
    name: "memory: a job that does not fit says what would free how much, and applying it fits",
    run: async ({ page, address }) => {
      const large = {
        ...run,
        model: "llama-3.1-70b",
        workload: { seq: 8192, global_batch: 64 },
        strategy: { tp: 8, pp: 2 },
      };
      await open(page, address, "memory", { run: large, views: {} });
      await page.getByText("does not fit").first().waitFor();
      await page
        .getByRole("row", { name: /recompute: full/ })
        .getByRole("button", { name: "Apply" })
        .click();
      await page.locator(".badge.good").first().waitFor();
      await page.getByText("is fullest").waitFor();
      await page
        .getByRole("row", { name: /pipeline rank 1/ })
        .first()
        .press("Enter");
      await page.getByText("Buffers at the peak of pipeline rank 1").waitFor();
      await page.getByRole("button", { name: /Undo/ }).click();
      await page.getByText("does not fit").first().waitFor();
    },
  },
];
