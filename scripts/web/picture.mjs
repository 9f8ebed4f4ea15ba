// Draws docs/img/web-plan.png: the plan page as it is.
//
// Usage: node scripts/web/picture.mjs [file] [light|dark] [width] [height] [address after #/]

import { fileURLToPath } from "node:url";
import { openApp } from "./chromium.mjs";

const [file = fileURLToPath(new URL("../../docs/img/web-plan.png", import.meta.url)), colorScheme = "light"] =
  process.argv.slice(2);
const [width = 1280, height = 860] = process.argv.slice(4, 6).map(Number);
const app = await openApp();
const page = await (await app.browser.newContext({ viewport: { width, height }, colorScheme })).newPage();
await page.goto(`${app.address}#/${process.argv[6] ?? "plan"}`);
await page.waitForFunction(() => performance.getEntriesByName("search:end").length > 0, null, { timeout: 120_000 });
// The charts follow the answer within a moment.
await page.waitForTimeout(1000);
await page.screenshot({ path: file });
await app.close();
