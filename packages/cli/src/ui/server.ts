// Serves the built web app: files of one folder, nothing else. Everything computes in the browser, so there is no other request to answer.
//
// With the isolation headers the page's workers may share memory. Names with a hash never change and are kept; index.html is asked for again.

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@meshwright/core/units";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".svg": "image/svg+xml; charset=utf-8",
  ".png": "image/png",
  ".wasm": "application/wasm",
};

/** Folder of the built page: beside the packed command line, or in a checkout. Throws InputError when it was not built. */
export function builtPage(): string {
  const places = ["../web/", "../../../web/dist/"].map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const folder = places.find((place) => existsSync(join(place, "index.html")));
  if (folder !== undefined) return folder;
  throw new InputError({
    path: "ui",
    message: "The web app is not built",
    hint: "run `npm run build` in the checkout",
  });
}

/** @param folder files that it serves; not yet listening. */
export function pageServer(folder: string): Server {
  return createServer((request, response) => answer(folder, request, response));
}

function answer(folder: string, request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  const file = fileOf(folder, request.url ?? "/");
  const type = file === null ? undefined : types[extname(file)];
  if (file === null || type === undefined) {
    response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("There is no such file\n");
    return;
  }
  response.writeHead(200, {
    "content-type": type,
    "content-length": statSync(file).size,
    "cache-control": /[/\\]assets[/\\]/.test(file) ? "public, max-age=31536000, immutable" : "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  });
  if (request.method === "HEAD") response.end();
  else createReadStream(file).pipe(response);
}

/** null: outside of the folder, or not a file. */
function fileOf(folder: string, url: string): string | null {
  try {
    const path = normalize(decodeURIComponent(new URL(url, "http://localhost").pathname));
    const file = join(folder, path.endsWith(sep) ? `${path}index.html` : path);
    return file.startsWith(folder) && statSync(file).isFile() ? file : null;
  } catch {
    return null;
  }
}
