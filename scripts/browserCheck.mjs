// Runs examples/browser/index.html in a headless Chromium and compares its figures with those Node computes from the same build: the library
// is the same in both. Without a Chromium on the machine it says so and ends well; on Debian `apt-get install --no-install-recommends chromium`.
//
// Usage: node scripts/browserCheck.mjs [--serve]     --serve only serves the page and prints its address

import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { predictStep, resolveSpec } from "../packages/core/dist/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const page = "/examples/browser/index.html";
const served = ["/examples/browser/", "/packages/core/dist/"];
const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".map": "application/json",
};

const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
  const type = types[extname(path)];
  try {
    if (type === undefined || !served.some((folder) => path.startsWith(folder))) throw new Error("not served");
    const body = readFileSync(join(root, path));
    response.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});

function findBrowser() {
  for (const name of ["chromium", "chromium-browser", "google-chrome", "chrome"]) {
    try {
      return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    } catch {
      // Not installed under this name.
    }
  }
  return undefined;
}

async function domOf(browser, address) {
  const profile = mkdtempSync(join(tmpdir(), "meshwright-browser-"));
  try {
    const { stdout } = await promisify(execFile)(
      browser,
      [
        ...[
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-dev-shm-usage",
          "--disable-background-networking",
        ],
        ...[`--user-data-dir=${profile}`, "--virtual-time-budget=60000", "--dump-dom", address],
      ],
      { encoding: "utf8", timeout: 120_000, maxBuffer: 2 ** 26 },
    );
    return stdout;
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

const textOf = (dom, id) => new RegExp(`<pre id="${id}"[^>]*>([\\s\\S]*?)</pre>`).exec(dom)?.[1] ?? "";

async function check(browser, address) {
  const dom = await domOf(browser, address);
  const job = /<textarea[^>]*>([\s\S]*?)<\/textarea>/.exec(readFileSync(join(root, page), "utf8"))[1];
  const expected = predictStep(resolveSpec(JSON.parse(job), { load: () => undefined }));
  const figures = JSON.parse(textOf(dom, "figures") || "null");
  console.log(textOf(dom, "report").split("\n").slice(0, 6).join("\n"));
  const same =
    figures !== null &&
    Math.abs(figures.stepSec / expected.stepSec - 1) < 1e-9 &&
    figures.peakBytes === expected.ranks[expected.peakRank].memory.peakBytes;
  console.log(same ? "browser-check: the page and Node agree" : "browser-check: the page's figures differ from Node's");
  return same;
}

server.listen(0, "127.0.0.1", async () => {
  const address = `http://127.0.0.1:${server.address().port}${page}`;
  if (process.argv.includes("--serve")) {
    console.log(address);
    return;
  }
  const browser = findBrowser();
  if (browser === undefined) console.log("browser-check: skipped, there is no Chromium on this machine");
  else {
    try {
      if (!(await check(browser, address))) process.exitCode = 1;
    } catch (error) {
      console.error(`browser-check: ${error instanceof Error ? error.message : error}`);
      process.exitCode = 1;
    }
  }
  server.close();
  server.closeAllConnections();
});
