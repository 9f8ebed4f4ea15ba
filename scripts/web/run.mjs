// A person's tasks in a real Chromium, on the built web app: every `*.check.mjs` of this folder exports `checks`, a list of {name, run}. Each gets a page of
// its own, in a browser that it shares with the others; an error that the page logs fails it.
//
// Usage: node scripts/web/run.mjs [words of names...]      ends with "N passed, N failed"

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openApp } from "./chromium.mjs";

/** Long, because a machine may be busy: what is checked is what happens, not how fast (bench/web.bench.mjs). */
const LIMIT_MS = 180_000;
const folder = fileURLToPath(new URL(".", import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith(".check.mjs"));
const wanted = process.argv.slice(2);
const all = (await Promise.all(files.map(async (name) => (await import(`./${name}`)).checks))).flat();
const checks = all.filter(({ name }) => wanted.every((word) => name.includes(word)));

const app = await openApp();
let [passed, failed] = [0, 0];
for (const { name, run, context: options = {} } of checks) {
  const started = performance.now();
  const context = await app.browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(app.address).origin });
  const page = await context.newPage();
  page.setDefaultTimeout(90_000);
  const errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  try {
    await withLimit(run({ page, context, address: app.address }));
    if (errors.length > 0) throw new Error(`the page logged: ${errors.join("; ")}`);
    passed++;
    console.log(`ok    ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}\n      ${error instanceof Error ? error.message : error}`);
    if (process.env["MESHWRIGHT_SHOTS"] !== undefined)
      await page.screenshot({ path: `${process.env["MESHWRIGHT_SHOTS"]}/${name.replaceAll(/\W+/g, "-")}.png` });
  }
  await context.close();
}
await app.close();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

function withLimit(work) {
  let timer;
  const limit = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`not done after ${LIMIT_MS / 1000} s`)), LIMIT_MS);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
