// What people do on the plan page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { linkTo, smallRun } from "./chromium.mjs";

const llama8b = readFileSync(new URL("../../examples/models/llama-3.1-8b.json", import.meta.url), "utf8");

/** Drops a file on the page as a file manager does. */
export async function drop(page, name, text) {
  await page.evaluate(
    ([fileName, content]) => {
      const data = new DataTransfer();
      data.items.add(new File([content], fileName));
      for (const type of ["dragenter", "dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
    },
    [name, text],
  );
}

/** Fills a field as a person does, and leaves it. */
async function fill(page, label, value) {
  const field = page.getByLabel(label, { exact: true });
  await field.fill(value);
  await field.press("Enter");
}

const card = (page) => page.locator("section.card").first();
const proven = (page) => page.getByRole("status").filter({ hasText: "proven best" }).waitFor();
const firstRow = (page) => page.locator(".result-table tbody tr").first();

export const checks = [
  {
    name: "plan a model from a dropped config.json, share the link, reopen it: the same job and the same best strategy",
    run: async ({ page, context, address }) => {
      await page.goto(address);
      await drop(page, "config.json", llama8b);
      await page.getByText("opened from config.json").waitFor();
      await fill(page, "shorthand", "8xh100-sxm");
      await fill(page, "global batch", "128");
      await proven(page);
      assert.match(await page.locator(".facts").first().innerText(), /8\.03B parameters/);
      const best = await firstRow(page).innerText();
      await page.getByRole("button", { name: "Share" }).click();
      await page.getByText("Link copied").waitFor();
      const link = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(link, /#\/plan\/1\/[\w-]+$/);
      assert.ok(link.length < 2000, `the link has ${link.length} characters`);
      const other = await context.newPage();
      await other.goto(link);
      await proven(other);
      assert.equal(await firstRow(other).innerText(), best);
      assert.equal(await other.getByLabel("global batch", { exact: true }).inputValue(), "128");
      assert.match(await other.locator(".facts").first().innerText(), /8\.03B parameters/);
    },
  },
  {
    name: "run out of memory and follow the advice: the strategy fits",
    run: async ({ page, address }) => {
      await page.goto(address);
      const run = {
        model: "llama-3.1-8b",
        cluster: "8xh100-sxm",
        workload: { seq: 8192, global_batch: 128 },
        strategy: { tp: 1, pp: 1, dp: 8, micro_batch: 2, sharding: "none" },
      };
      await drop(page, "too-large.json", JSON.stringify(run));
      await page.getByText("Does not fit").waitFor();
      const advice = page.getByLabel("Changes that would fit").getByRole("listitem");
      assert.ok((await advice.count()) >= 1);
      const text = await advice.first().locator("code").innerText();
      await advice.first().getByRole("button", { name: "Apply" }).click();
      await card(page).getByText("tokens/s", { exact: true }).waitFor();
      assert.equal(await page.getByText("Does not fit").count(), 0);
      await page.getByRole("button", { name: `Undo apply ${text}` }).click();
      await page.getByText("Does not fit").waitFor();
    },
  },
  {
    name: "a job that no strategy fits: the search widens to everything, and a remedy is a click away",
    run: async ({ page, address }) => {
      const run = {
        ...smallRun,
        plan: {
          fix: { tp: 1, cp: 1, pp: 1, micro_batch: 4, recompute: "none", sharding: "none" },
          forbid: ["offload"],
        },
      };
      await page.goto(linkTo(address, "plan", run));
      await page.getByText("Nothing fits").waitFor();
      const remedy = page.locator(".notice.warn .row").filter({ hasText: "lift the limits" });
      await remedy.getByRole("button", { name: "Apply" }).click();
      await proven(page);
      assert.equal(await page.locator(".chip").count(), 0);
      assert.ok((await page.locator(".result-table tbody tr").count()) > 0);
    },
  },
  {
    name: "a token budget says how long and how dear, and a picked row what it loses to the best",
    run: async ({ page, address }) => {
      await page.goto(linkTo(address, "plan", { ...smallRun, plan: { tokens: "2T" } }));
      await proven(page);
      await card(page).getByText("2.00T tokens take").waitFor();
      await page.locator(".result-table tbody tr").nth(2).click();
      await card(page)
        .getByText(/^This strategy (is [\d.]+ % slower than|ties with) the best/)
        .waitFor();
    },
  },
  {
    name: "a cluster of two kinds of devices is planned too",
    run: async ({ page, address }) => {
      const run = { ...smallRun, cluster: "8xa100-80g+8xh100-sxm", workload: { seq: 4096, global_batch: 64 } };
      await page.goto(linkTo(address, "plan", { ...run, plan: { fix: { tp: 8, micro_batch: 1 } } }));
      await page
        .getByRole("status")
        .filter({ hasText: /proven/ })
        .waitFor();
      assert.ok((await page.locator(".result-table tbody tr").count()) > 0);
      await card(page).getByText("tokens/s", { exact: true }).waitFor();
    },
  },
  {
    name: "malformed files get a clear message and lose nothing",
    run: async ({ page, address }) => {
      await page.goto(address);
      await fill(page, "global batch", "64");
      const alert = page.getByRole("alert");
      const cases = [
        ["broken.json", llama8b.slice(0, 200), "It is no valid JSON"],
        ["list.json", "[1, 2]", "It holds neither a model's config nor a run file"],
        ["strange.json", JSON.stringify({ model_type: "quantum", hidden_size: 8 }), "quantum"],
        ["half.json", JSON.stringify({ model_type: "llama", hidden_size: -5 }), "hidden_size"],
        ["run.yaml", "model: llama-3.1-8b\nclusters: 8xh100\nworkload: {seq: 4096}\n", 'did you mean "cluster"'],
        ["tabs.yaml", "model: [unclosed", "It is no valid YAML"],
        ["picture.png", "\u0000\u0001PNG", "It holds neither"],
      ];
      for (const [name, text, message] of cases) {
        await drop(page, name, text);
        await alert
          .filter({ hasText: `"${name}" was not opened` })
          .filter({ hasText: message })
          .waitFor();
        await page.getByRole("button", { name: "Close message" }).first().click();
      }
      assert.equal(await page.getByLabel("global batch", { exact: true }).inputValue(), "64");
      assert.equal(await page.locator(".picker-name").innerText(), "llama-3.1-70b");
      await proven(page);
    },
  },
  {
    name: "a damaged link says so and opens the page with the example",
    run: async ({ page, address }) => {
      await page.goto(`${address}#/plan/1/notALink`);
      await page.getByRole("alert").filter({ hasText: "This link is damaged" }).waitFor();
      assert.equal(await page.locator(".picker-name").innerText(), "llama-3.1-70b");
    },
  },
  {
    name: "pick a row, undo, and follow the best again",
    run: async ({ page, address }) => {
      await page.goto(linkTo(address, "plan", smallRun));
      await proven(page);
      const words = await page.locator(".words").innerText();
      await page.locator(".result-table tbody tr").nth(3).click();
      await page.getByRole("heading", { name: "Picked strategy" }).waitFor();
      await page.waitForFunction((before) => document.querySelector(".words")?.textContent !== before, words);
      await page.keyboard.press("Control+z");
      await page.getByRole("heading", { name: "Best strategy" }).waitFor();
      await page.waitForFunction((before) => document.querySelector(".words")?.textContent === before, words);
      await page.keyboard.press("Control+Shift+z");
      await page.getByRole("heading", { name: "Picked strategy" }).waitFor();
      await page.getByRole("button", { name: "Follow best" }).click();
      await page.getByRole("heading", { name: "Best strategy" }).waitFor();
    },
  },
  {
    name: "limits, sorting and the filter change what the table shows",
    run: async ({ page, address }) => {
      await page.goto(linkTo(address, "plan", smallRun));
      await page.getByLabel("Dimension").selectOption("tp");
      await page.getByLabel("Value of the limit").fill("2");
      await page.getByRole("button", { name: "Add" }).click();
      await page.getByText("tp = 2").waitFor();
      await proven(page);
      const column = async (index) => page.locator(`.result-table tbody td:nth-child(${index})`).allInnerTexts();
      assert.deepEqual([...new Set(await column(4))], ["2"]);
      await page.getByRole("button", { name: "memory", exact: true }).click();
      const memory = (await page.locator(".memory-cell").allInnerTexts()).map(Number.parseFloat);
      assert.deepEqual(
        memory,
        [...memory].sort((a, b) => a - b),
      );
      await page.getByRole("searchbox").fill("pp=2");
      await page.waitForFunction(() =>
        [...document.querySelectorAll(".result-table tbody td:nth-child(5)")].every((cell) => cell.textContent === "2"),
      );
      assert.ok((await column(5)).length > 0);
    },
  },
  {
    name: "a search of everything is stopped and keeps what it found",
    run: async ({ page, address }) => {
      await page.goto(linkTo(address, "plan", smallRun));
      await proven(page);
      const before = await page.locator(".result-table tbody tr").count();
      await page.getByRole("button", { name: "Search all" }).click();
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByRole("status").filter({ hasText: "stopped" }).waitFor();
      assert.ok((await page.locator(".result-table tbody tr").count()) >= Math.min(before, 5));
    },
  },
  {
    name: "export: the run file is what the command line reads, and engine files are made",
    run: async ({ page, address }) => {
      await page.goto(linkTo(address, "plan", smallRun));
      await proven(page);
      await page.getByRole("button", { name: "Export" }).click();
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Run file (YAML)").click()]);
      const { parse } = await import("yaml");
      const run = parse(readFileSync(await download.path(), "utf8"));
      const { predictStep, resolveSpec } = await import("../../packages/core/dist/index.js");
      const result = predictStep(resolveSpec(run, { load: () => undefined }));
      assert.equal(result.kind, "ok");
      const shown = await page.locator(".figures dd").first().innerText();
      assert.equal(shown, `${result.stepSec.toPrecision(3)} s`);
      // What Megatron-LM has no words for is said, and searching what it can run is a click away.
      await page.getByText("megatron cannot take this job as it is").waitFor();
      await page.getByRole("button", { name: "Search what megatron can run" }).click();
      await page.getByText("looking over the layouts").waitFor();
      await proven(page);
      await page.getByRole("button", { name: "Export" }).click();
      await page.locator(".files li").first().waitFor();
      const [csv] = await Promise.all([page.waitForEvent("download"), page.getByText("Table (CSV)").click()]);
      assert.match(readFileSync(await csv.path(), "utf8"), /^layout,tp,cp,pp/);
    },
  },
  {
    name: "keyboard only: open a model, change the batch, walk the table, pick a row",
    run: async ({ page, address }) => {
      await page.goto(linkTo(address, "plan", smallRun));
      await proven(page);
      const tabTo = async (test) => {
        for (let i = 0; i < 80; i++) {
          await page.keyboard.press("Tab");
          if (await page.evaluate(test)) return;
        }
        assert.fail(`Tab never reaches ${test}`);
      };
      await tabTo(() => document.activeElement?.classList.contains("picker-button"));
      const before = await firstRow(page).evaluate((row) => row.textContent);
      await page.keyboard.press("Enter");
      await page.keyboard.type("llama-3.2-1b");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelector(".picker-name")?.textContent === "llama-3.2-1b");
      // What stands there until the new search has begun is the old one's answer.
      await page.waitForFunction(
        (old) => (document.querySelector(".result-table tbody tr")?.textContent ?? old) !== old,
        before,
      );
      await proven(page);
      await tabTo(() => document.activeElement?.matches(".result-table tbody tr"));
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Picked strategy" }).waitFor();
      await page.keyboard.press("Control+k");
      await page.keyboard.type("follow the best");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Best strategy" }).waitFor();
    },
  },
];
