// What people do on the what-if, learn and accuracy pages, and what holds on every page: narrow screens, print, theme.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { linkTo, smallRun } from "./chromium.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const pages = ["plan", "timeline", "memory", "whatif", "learn", "accuracy"];

/** The what-if page of a run file with a picked strategy. */
async function openJob(page, address, run) {
  await page.goto(linkTo(address, "whatif", run));
  await page.getByRole("heading", { name: "As it is" }).waitFor();
}

const job = {
  model: "llama-3.1-8b",
  cluster: "16xh100-sxm",
  workload: { seq: 8192, global_batch: 64 },
  strategy: { tp: 4, pp: 1, sharding: "zero1" },
};

const figure = (page, name, column) =>
  page.locator(".factstable tbody tr").filter({ hasText: name }).locator("td").nth(column);

/** The changed step is predicted, and differs. */
async function changedIsShown(page) {
  await page.waitForFunction(() => {
    const row = document.querySelector(".factstable tbody tr:nth-child(2)")?.textContent ?? "";
    return /%$/.test(row);
  });
}

async function tabTo(page, test, what) {
  for (let i = 0; i < 120; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(test)) return;
  }
  assert.fail(`Tab never reaches ${what}`);
}

export const checks = [
  {
    name: "what-if by keyboard: turn a link, copy the command, and a terminal predicts the same step",
    run: async ({ page, address }) => {
      await openJob(page, address, job);
      await page.keyboard.press("g");
      await page.keyboard.press("l");
      await page.getByRole("button", { name: "Tensor parallel" }).waitFor();
      await page.keyboard.press("g");
      await page.keyboard.press("w");
      await page.getByRole("heading", { name: "As it is" }).waitFor();
      const before = await figure(page, "step time", 0).innerText();
      await tabTo(
        page,
        () => document.activeElement?.labels?.[0]?.textContent === "Links inside the node",
        "the dial of links",
      );
      for (let i = 0; i < 4; i++) await page.keyboard.press("ArrowRight");
      await page.getByText("450 GB/s → 900 GB/s").waitFor();
      await page.getByRole("heading", { name: "As it is, and changed" }).waitFor();
      await changedIsShown(page);
      const after = await figure(page, "step time", 1).innerText();
      assert.notEqual(after, before);
      await page.getByText("Copy command").first().click();
      await page.getByText("Command copied").waitFor();
      const command = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(command, /^npx meshwright predict /);
      const output = execFileSync(
        "sh",
        ["-c", `${command.replace(/^npx meshwright/, "node packages/cli/bin/meshwright.js")} --json`],
        {
          cwd: root,
          encoding: "utf8",
        },
      );
      const seconds = JSON.parse(output).step.step_time_s;
      assert.equal(after, `${seconds.toPrecision(3)} s`);
    },
  },
  {
    name: "what-if: a shared link shows the same change; taking it over is undone",
    run: async ({ page, context, address }) => {
      await openJob(page, address, job);
      await page.getByRole("slider", { name: "Memory bandwidth" }).focus();
      await page.keyboard.press("End");
      await page.getByText("3.35 TB/s → 26.8 TB/s").waitFor();
      await changedIsShown(page);
      const after = await figure(page, "step time", 1).innerText();
      await page.getByRole("button", { name: "Share" }).click();
      await page.getByText("Link copied").waitFor();
      const link = await page.evaluate(() => navigator.clipboard.readText());
      const other = await context.newPage();
      await other.goto(link);
      await other.getByText("3.35 TB/s → 26.8 TB/s").waitFor();
      await changedIsShown(other);
      assert.equal(await figure(other, "step time", 1).innerText(), after);
      await page.getByRole("button", { name: "Take over as the job" }).click();
      await page.getByText("26.8 TB/s", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Undo what-if" }).click();
      await page.getByText("3.35 TB/s", { exact: true }).waitFor();
    },
  },
  {
    name: "what-if: less memory makes the job not fit, and says by how much",
    run: async ({ page, address }) => {
      await openJob(page, address, job);
      await page.getByRole("slider", { name: "Memory size" }).focus();
      await page.keyboard.press("Home");
      await page.getByText("does not fit", { exact: true }).waitFor();
      assert.match(await figure(page, "of capacity", 1).innerText(), /^\d{3}(\.\d)? %$/);
      await page.getByRole("button", { name: "Put all back" }).click();
      await page.waitForFunction(() => !document.querySelector(".factstable")?.textContent.includes("does not fit"));
    },
  },
  {
    name: "learn: two all-reduces appear when tensor parallelism goes from 1 to 2",
    run: async ({ page, address }) => {
      await page.goto(`${address}#/learn`);
      await page.getByRole("button", { name: "Tensor parallel" }).click();
      const forward = page
        .locator("section.card")
        .filter({ has: page.getByRole("heading", { name: "Forward of one layer" }) });
      const count = () => forward.getByRole("rowheader", { name: /^all-reduce/ }).count();
      await forward.waitFor();
      await page.getByRole("radio", { name: "2", exact: true }).focus();
      await page.keyboard.press("ArrowLeft");
      await page.waitForFunction(() => !document.querySelector(".ops tbody")?.textContent.includes("all-reduce"));
      assert.equal(await count(), 0);
      await page.keyboard.press("ArrowRight");
      await page.waitForFunction(() => document.querySelector(".ops tbody")?.textContent.includes("all-reduce"));
      assert.equal(await count(), 2);
    },
  },
  {
    name: "learn: compare two schedules; numbers that one does not take are said",
    run: async ({ page, address }) => {
      await page.goto(`${address}#/learn`);
      await page.getByRole("button", { name: "Pipeline schedules" }).click();
      const bubble = (nth) => page.locator("article .figures").nth(nth).locator("dd").first();
      await bubble(1).waitFor();
      assert.deepEqual([await bubble(0).innerText(), await bubble(1).innerText()], ["37.5 %", "12.5 %"]);
      await page.getByLabel("Second schedule").selectOption("dualpipe");
      await page.getByRole("radiogroup", { name: "Micro-batches" }).getByRole("radio", { name: "4" }).click();
      await page.getByText("This schedule does not take these numbers").waitFor();
      await page.getByRole("radiogroup", { name: "Micro-batches" }).getByRole("radio", { name: "16" }).click();
      await page.getByText("deepseek", { exact: false }).or(page.getByText("arXiv 2412.19437")).first().waitFor();
      assert.equal(await page.getByText("This schedule does not take these numbers").count(), 0);
    },
  },
  {
    name: "accuracy: the core figure is the document's; a source narrows the page; a run says where it was measured",
    run: async ({ page, address }) => {
      const [, mape] = /^\| core \| \*\*all\*\* \| \d+ \| [\d.]+ % \| ([\d.]+) % /m.exec(
        readFileSync(`${root}/docs/accuracy.md`, "utf8"),
      );
      await page.goto(`${address}#/accuracy`);
      await page.getByLabel("Tier").selectOption("core");
      const shown = page.locator(".figures dd").nth(1);
      await page.waitForFunction(() => document.querySelectorAll(".figures dd")[0]?.textContent === "362");
      assert.equal(Number.parseFloat(await shown.innerText()).toFixed(1), mape);
      await page.getByRole("row", { name: /^llm-foundry/ }).focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.querySelectorAll(".figures dd")[0]?.textContent === "108");
      const worst = page.locator(".whole tbody tr").first();
      await worst.focus();
      await page.keyboard.press("Enter");
      await page.getByText("mosaicml/llm-foundry:scripts/train/benchmarking", { exact: false }).waitFor();
      await page.getByRole("button", { name: "Show all", exact: true }).first().click();
      await page.getByRole("radio", { name: "Peak memory" }).click();
      await page.waitForFunction(() => document.querySelector(".plot .title")?.textContent === "measured peak memory");
    },
  },
  {
    name: "save a report: one file that needs nothing else and says the step that the page shows",
    run: async ({ page, address }) => {
      await openJob(page, address, job);
      await page.getByRole("heading", { name: "As it is" }).waitFor();
      const step = await figure(page, "step time", 0).innerText();
      await page.keyboard.press("Control+k");
      await page.keyboard.type("save a report");
      const [file] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
      assert.equal(file.suggestedFilename(), "llama-3.1-8b.html");
      const html = readFileSync(await file.path(), "utf8");
      assert.ok(html.includes(`llama-3.1-8b: ${step} a step`));
      assert.doesNotMatch(html, /<script|src=|href=/);
    },
  },
  ...pages.map((id) => ({
    name: `the ${id} page fits a narrow screen`,
    context: { viewport: { width: 390, height: 800 } },
    run: async ({ page, address }) => {
      await page.goto(linkTo(address, id, smallRun));
      await page.locator("main h2:visible, main canvas").first().waitFor();
      await page.waitForTimeout(1500);
      const { width, widest } = await page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
        widest: [...document.querySelectorAll("main *")]
          .filter(
            (each) =>
              each.getBoundingClientRect().right > 391 && each.closest(".table-scroll, [class*=scroll]") === null,
          )
          .slice(0, 3)
          .map((each) => `${each.tagName}.${each.getAttribute("class")}`),
      }));
      assert.ok(width <= 390, `the page is ${width} wide: ${widest.join(", ")}`);
    },
  })),
  {
    name: "print leaves out what cannot be used on paper",
    run: async ({ page, address }) => {
      await page.goto(linkTo(address, "whatif", job));
      await page.getByRole("heading", { name: "From peak to achieved" }).waitFor();
      await page.emulateMedia({ media: "print" });
      assert.equal(await page.locator(".topbar").isVisible(), false);
      assert.equal(await page.getByRole("slider").first().isVisible(), false);
      assert.equal(await page.getByRole("heading", { name: "From peak to achieved" }).isVisible(), true);
    },
  },
];
