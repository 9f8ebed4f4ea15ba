// Runs every benchmark, one after the other: `npm run bench`.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
for (const name of readdirSync(folder)
  .filter((each) => each.endsWith(".bench.mjs"))
  .sort()) {
  console.log(`\n# ${name}`);
  const { status } = spawnSync(process.execPath, ["--no-warnings", folder + name], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
