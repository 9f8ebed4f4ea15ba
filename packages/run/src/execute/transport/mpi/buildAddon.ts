// Builds the MPI addon (native/mpi.c) where it is first needed, with the MPI compiler of the machine, and keeps the result in the user's cache, named by what
// it was made from. Nothing is built when the package is installed: most users have no MPI.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@meshwright/core/units";

/** By full name first: where several MPIs are installed, plain mpicc may be another one. */
const compilers = ["mpicc.openmpi", "mpicc"];

const installHint =
  "install Open MPI with its headers: `apt-get install openmpi-bin libopenmpi-dev` (Debian, Ubuntu) or `dnf install openmpi openmpi-devel` and " +
  "`module load mpi` (Fedora, RHEL); or use --transport threads or tcp";

/** @returns the path of the addon. @throws InputError when it cannot be built, with what to install. */
export function mpiAddonPath(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const source = sourcePath();
  const compiler = compilers.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).error === undefined);
  if (compiler === undefined)
    throw new InputError({
      path: "transport",
      message: "MPI needs Open MPI's compiler wrapper mpicc, which is not installed",
      hint: installHint,
    });
  const madeFrom = createHash("sha256")
    .update(readFileSync(source))
    .update(`${process.versions.modules} ${process.arch} ${process.platform}`)
    .update(spawnSync(compiler, ["--showme"], { encoding: "utf8" }).stdout)
    .digest("hex")
    .slice(0, 16);
  const folder = join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "meshwright");
  const path = join(folder, `mpi-${madeFrom}.node`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  // Ranks that build at the same time each write a file of their own; the last rename wins, and all are equal.
  const own = `${path}.${process.pid}`;
  const built = spawnSync(compiler, ["-shared", "-fPIC", "-O2", "-Wall", `-I${headersPath()}`, "-o", own, source], {
    encoding: "utf8",
  });
  if (built.status !== 0) {
    const said = `${built.stderr}${built.error?.message ?? ""}`.trim().split("\n").slice(0, 5).join("\n");
    throw new InputError({
      path: "transport",
      message: `${compiler} cannot build the MPI addon:\n${said}`,
      hint: installHint,
    });
  }
  renameSync(own, path);
  return path;
}

/** native/mpi.c lies beside src and dist. */
function sourcePath(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, "native", "mpi.c");
    if (existsSync(path)) return path;
  }
  throw new InputError({
    path: "transport",
    message: "The source of the MPI addon (native/mpi.c) is not in this installation",
  });
}

/** node_api.h: from the installed Node, else from the package of headers. */
function headersPath(): string {
  const beside = join(dirname(dirname(process.execPath)), "include", "node");
  if (existsSync(join(beside, "node_api.h"))) return beside;
  try {
    const headers = dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json"));
    return join(headers, "include");
  } catch {
    throw new InputError({
      path: "transport",
      message: `MPI needs the header node_api.h, which is not in ${beside}`,
      hint: "install Node's headers (`apt-get install libnode-dev`), or `npm install node-api-headers`",
    });
  }
}
