// Builds the web app: a static site with relative addresses, so that any host and any folder of it serves it. The library comes from its
// sources; its data tables are chunks that only the workers load.

import { defineConfig } from "vite";

/** What crosses origin isolation off: with these, pages may share memory among their workers. `meshwright ui` sends the same. */
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The page asks nobody for anything: what a user drops on it cannot leave. Not in development, where modules are patched in place. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
  "img-src 'self' data: blob:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

export default defineConfig({
  base: "./",
  resolve: { conditions: ["meshwright-source", "module", "browser", "development|production"] },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // The workers' data tables are large by nature.
    chunkSizeWarningLimit: 4000,
  },
  json: { stringify: true },
  worker: {
    format: "es",
    // Tables of data change seldom, code often: each is cached for itself.
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: "tables", test: /core[\\/]src[\\/].*\.json$/ }] } },
    },
  },
  server: { headers: isolation, port: 5173 },
  preview: { headers: isolation },
  plugins: [
    {
      name: "content-security-policy",
      apply: "build",
      transformIndexHtml: () => [
        { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: policy }, injectTo: "head-prepend" },
      ],
    },
  ],
});
