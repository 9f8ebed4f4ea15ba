// Every page against axe-core's rules (WCAG 2.2 A and AA, and its best practices): in light and in dark, wide and narrow, with something on it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { linkTo, smallRun } from "./chromium.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Pages, and what to wait for before they are judged. */
const pages = [
  { id: "plan", ready: (page) => page.getByRole("status").filter({ hasText: "proven best" }).waitFor() },
  { id: "timeline", ready: (page) => page.locator("canvas").first().waitFor() },
  { id: "memory", ready: (page) => page.locator("main table").first().waitFor() },
  { id: "whatif", ready: (page) => page.getByRole("heading", { name: "What else would change it" }).waitFor() },
  { id: "learn", ready: (page) => page.getByRole("heading", { name: "Forward of one layer" }).waitFor() },
  { id: "accuracy", ready: (page) => page.getByRole("heading", { name: "By source" }).waitFor() },
];

const looks = [
  { name: "light", context: { colorScheme: "light" } },
  { name: "dark", context: { colorScheme: "dark" } },
  { name: "narrow", context: { colorScheme: "light", viewport: { width: 390, height: 820 } } },
];

async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() =>
    // Defined by the script that was just run.
    globalThis.axe.run(document, { resultTypes: ["violations"] }),
  );
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")} ${node.any[0]?.message ?? ""}`),
  );
}

export const checks = [
  ...pages.flatMap(({ id, ready }) =>
    looks.map(({ name, context }) => ({
      name: `axe finds nothing on the ${id} page, ${name}`,
      context,
      run: async ({ page, address }) => {
        await page.goto(linkTo(address, id, smallRun));
        await ready(page);
        // What is drawn paler while its next answer is made has no colour of its own yet.
        await page.waitForTimeout(600);
        assert.deepEqual(await violations(page), []);
      },
    })),
  ),
  {
    name: "axe finds nothing on the list of commands",
    run: async ({ page, address }) => {
      await page.goto(`${address}#/learn`);
      await page.getByRole("heading", { name: "Forward of one layer" }).waitFor();
      await page.keyboard.press("Control+k");
      await page.locator("dialog[open]").waitFor();
      assert.deepEqual(await violations(page), []);
    },
  },
];
