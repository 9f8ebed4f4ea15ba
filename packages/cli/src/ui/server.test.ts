import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand } from "../runCommand.fixture.ts";
import { pageServer } from "./server.ts";

const outside = mkdtempSync(join(tmpdir(), "meshwright-ui-"));
const folder = join(outside, "site/");
const server = pageServer(folder);
let port = 0;

beforeAll(async () => {
  mkdirSync(join(folder, "assets"), { recursive: true });
  writeFileSync(join(outside, "secret.html"), "no");
  writeFileSync(join(folder, "index.html"), "<!doctype html>");
  writeFileSync(join(folder, "assets/app-1.js"), "export {};");
  writeFileSync(join(folder, "notes.txt"), "of no served type");
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  server.close();
  rmSync(outside, { recursive: true });
});

/** Sends the path as it is written: fetch would tidy it. */
const get = (path: string, method = "GET") =>
  new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((done, fail) => {
    request({ port, path, method, host: "127.0.0.1" }, (response) => {
      let body = "";
      response.on("data", (piece) => {
        body += piece;
      });
      response.on("end", () => done({ status: response.statusCode ?? 0, headers: response.headers, body }));
    })
      .on("error", fail)
      .end();
  });

test("the folder's page is served with isolation, and its hashed files are kept", async () => {
  const page = await get("/");
  expect([page.status, page.body]).toEqual([200, "<!doctype html>"]);
  expect(page.headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(page.headers["cross-origin-opener-policy"]).toBe("same-origin");
  expect(page.headers["cross-origin-embedder-policy"]).toBe("require-corp");
  expect(page.headers["cache-control"]).toBe("no-cache");
  const script = await get("/assets/app-1.js?x=1");
  expect(script.headers["content-type"]).toBe("text/javascript; charset=utf-8");
  expect(script.headers["cache-control"]).toContain("immutable");
  expect((await get("/", "HEAD")).body).toBe("");
});

test("nothing outside of the folder, of other types or by other methods is answered", async () => {
  for (const path of [
    "/../secret.html",
    "/%2e%2e/secret.html",
    "/..%2fsecret.html",
    "/notes.txt",
    "/none.html",
    "/%",
    "/assets",
  ])
    expect([path, (await get(path)).status]).toEqual([path, 404]);
  expect((await get("/", "POST")).status).toBe(405);
});

test("a port that is none or that is taken is refused with what to do", async () => {
  const wrong = await runCommand(["ui", "--port", "eighty", "--no-open"], ".");
  expect([wrong.code, wrong.err]).toEqual([
    2,
    expect.stringContaining('Expected a port from 0 to 65535, got "eighty"'),
  ]);
  const taken = await runCommand(["ui", "--port", String(port), "--no-open"], ".");
  expect([taken.code, taken.err]).toEqual([2, expect.stringMatching(/is in use .*use --port 0/)]);
});
