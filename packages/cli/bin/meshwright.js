#!/usr/bin/env node
// Node 20 announces JSON imports as experimental on every start; they are stable since Node 22 and ours are plain data.
const emitWarning = process.emitWarning;
process.emitWarning = (warning, ...rest) => {
  const text = typeof warning === "string" ? warning : warning.message;
  if (!/JSON modules/.test(text)) emitWarning.call(process, warning, ...rest);
};

const { main } = await import("../dist/main.js");
await main(process.argv.slice(2));
