// Completes package-lock.json after an `npm install`. A registry that lists no builds of a package for other platforms makes npm drop
// them from the lock, and then `npm ci` refuses it ("Missing ... from lock file"). This adds an entry for every optional dependency that
// a locked package names and the lock lacks: its exact version, and the platform that its name states.
//
// Usage: node scripts/completeLock.mjs [--check]   (--check changes nothing and fails when something is missing)

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const systems = ["darwin", "linux", "win32", "freebsd", "openbsd", "netbsd", "android", "sunos", "aix", "openharmony"];
const processors = ["arm64", "x64", "ia32", "arm", "ppc64", "riscv64", "s390x", "loong64", "mips64el", "wasm32"];

/** `@biomejs/cli-linux-x64-musl` -> {os: ["linux"], cpu: ["x64"], libc: ["musl"]}; only what the name states. */
export function platformOf(name) {
  const words = name.split("/").at(-1).toLowerCase().split(/[-_.]/);
  const has = (list) => list.filter((each) => words.includes(each)).slice(0, 1);
  const libc = words.some((word) => word === "musl" || word === "musleabihf")
    ? ["musl"]
    : words.some((word) => word === "gnu" || word === "gnueabihf")
      ? ["glibc"]
      : [];
  return Object.fromEntries(
    [
      ["os", has(systems)],
      ["cpu", has(processors)],
      ["libc", libc],
    ].filter(([, values]) => values.length > 0),
  );
}

/** Missing optional packages as lock entries, by path. */
export function missingEntries(lock) {
  const missing = {};
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const nested = `${path}/node_modules/${name}`;
      const hoisted = `node_modules/${name}`;
      // Only exact versions name one package; ranges (fsevents ~2.3.3) npm keeps itself.
      if (
        lock.packages[nested] !== undefined ||
        lock.packages[hoisted] !== undefined ||
        !/^\d+\.\d+\.\d+/.test(version)
      )
        continue;
      missing[hoisted] = {
        version,
        ...platformOf(name),
        ...(entry.dev === true ? { dev: true } : {}),
        ...(entry.license === undefined ? {} : { license: entry.license }),
        optional: true,
      };
    }
  }
  return missing;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = fileURLToPath(new URL("../package-lock.json", import.meta.url));
  const lock = JSON.parse(readFileSync(path, "utf8"));
  const missing = missingEntries(lock);
  const count = Object.keys(missing).length;
  if (process.argv.includes("--check")) {
    if (count > 0)
      console.error(`package-lock.json lacks ${count} optional packages; run node scripts/completeLock.mjs`);
    process.exitCode = count > 0 ? 1 : 0;
  } else {
    const sorted = Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    writeFileSync(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
    console.log(`${count} optional packages added`);
  }
}
