// A headless Chromium on the built web app: what the browser tests, the bench and the pictures of the documentation share.
//
// MESHWRIGHT_CHROMIUM names another browser than Debian's.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { deflateRawSync } from "node:zlib";
import { chromium } from "playwright-core";
import { builtPage, pageServer } from "../../packages/cli/dist/ui/server.js";

/** Path of a Chromium, or undefined. */
export function findChromium() {
  const named = process.env["MESHWRIGHT_CHROMIUM"];
  if (named !== undefined) return named;
  for (const name of ["chromium", "chromium-browser", "google-chrome", "chrome"]) {
    try {
      const path = execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
      if (existsSync(path)) return path;
    } catch {
      // Not installed under this name.
    }
  }
  return undefined;
}

/** Serves the built page and starts a browser. `close()` ends both. */
export async function openApp() {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("There is no Chromium: apt-get install chromium");
  const server = pageServer(builtPage());
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
  });
  return {
    browser,
    address: `http://127.0.0.1:${server.address().port}/`,
    close: async () => {
      await browser.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Address of a page with a job in it, as the app writes it (packages/web/src/state/link.ts). */
export function linkTo(address, page, run, views = {}) {
  return `${address}#/${page}/1/${deflateRawSync(JSON.stringify({ run, views })).toString("base64url")}`;
}

/** A job whose search is short. */
export const smallRun = { model: "llama-3.1-8b", cluster: "8xh100-sxm", workload: { seq: 8192, global_batch: 128 } };
