// What can be wrong with a job for a launcher, all findings at once. A field that the launcher cannot express is refused: nothing that was asked for
// is dropped in silence.

import { type Finding, InputError } from "../../units/errors.ts";
import { JOB_FIELDS, type LauncherName, type LaunchJob, type PlaceField } from "./types.ts";

/** What both kinds of Kubernetes manifest can say. */
const manifestFields: readonly PlaceField[] = [
  "directory",
  "image",
  "timeLimitSec",
  "cpusPerNode",
  "memoryBytesPerNode",
  "queue",
  "topologyLevel",
  "deviceResource",
  "resources",
];

/** Which optional fields a launcher has words for. */
const expressible: Readonly<Record<LauncherName, readonly PlaceField[]>> = {
  torchrun: ["directory", "port"],
  slurm: [
    "directory",
    "image",
    "partition",
    "account",
    "timeLimitSec",
    "cpusPerNode",
    "memoryBytesPerNode",
    "nodesPerBlock",
    "maxSwitches",
    "port",
  ],
  jobset: [...manifestFields, "maxRestarts", "port"],
  // The port, the processes' ranks and restarts belong to the training runtime.
  trainjob: manifestFields,
  skypilot: ["directory", "image", "cpusPerNode", "memoryBytesPerNode", "accelerator", "port"],
};

/** Throws InputError when the launcher cannot start the job. */
export function checkJob(launcher: LauncherName, job: LaunchJob): void {
  const findings: Finding[] = [];
  const find = (path: string, message: string, hint?: string) =>
    findings.push(hint === undefined ? { path, message } : { path, message, hint });
  for (const field of placeFields(job)) {
    if (expressible[launcher].includes(field)) continue;
    const able = Object.entries(expressible).filter(([, fields]) => fields.includes(field));
    find(
      field,
      `The launcher "${launcher}" has no ${field}`,
      `leave it out, or use ${able.map(([name]) => name).join(" or ")}`,
    );
  }
  for (const field of ["nodes", "devicesPerNode", "cpusPerNode", "nodesPerBlock", "maxSwitches"] as const) {
    const value = job[field];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1))
      find(field, `"${value}" is not a whole number of at least 1`);
  }
  for (const field of ["timeLimitSec", "memoryBytesPerNode"] as const) {
    const value = job[field];
    if (value !== undefined && !(value > 0 && value < Number.MAX_SAFE_INTEGER))
      find(field, `"${value}" is not a number above 0`);
  }
  if (job.maxRestarts !== undefined && !(Number.isSafeInteger(job.maxRestarts) && job.maxRestarts >= 0))
    find("maxRestarts", `"${job.maxRestarts}" is not a whole number`);
  if (job.port !== undefined && !(Number.isSafeInteger(job.port) && job.port >= 1 && job.port <= 65535))
    find("port", `"${job.port}" is not a port`, "use 1 to 65535");
  if (!/[A-Za-z0-9]/.test(job.name)) find("name", `"${job.name}" holds no letter or digit to make a name of`);
  if (job.nodesPerBlock !== undefined && job.nodes % job.nodesPerBlock !== 0)
    find("nodesPerBlock", `${job.nodes} nodes are not whole blocks of ${job.nodesPerBlock}`);
  if (job.directory !== undefined && !job.directory.startsWith("/"))
    find("directory", `"${job.directory}" is not an absolute path`);
  for (const field of ["partition", "account"] as const) {
    // They stand in directives, which Slurm reads without a shell's quoting.
    const value = job[field];
    if (value !== undefined && !/^[A-Za-z0-9][A-Za-z0-9_.,@+-]*$/.test(value))
      find(field, `"${value}" is not a name that Slurm takes`);
  }
  checkKubernetes(launcher, job, find);
  if (launcher === "skypilot" && !/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(job.accelerator ?? ""))
    find(
      "accelerator",
      `The launcher "skypilot" finds nodes by their accelerator, and ${job.accelerator === undefined ? "none is named" : `"${job.accelerator}" names none`}`,
      "such as H100; `sky show-gpus` lists them",
    );
  checkProgram(job, find);
  checkFiles(launcher, job, find);
  if (findings.length > 0) throw new InputError(findings);
}

type Find = (path: string, message: string, hint?: string) => void;

function placeFields(job: LaunchJob): readonly PlaceField[] {
  return (Object.keys(job) as (keyof LaunchJob)[]).filter(
    (field): field is PlaceField => !(JOB_FIELDS as readonly string[]).includes(field) && job[field] !== undefined,
  );
}

function checkKubernetes(launcher: LauncherName, job: LaunchJob, find: Find): void {
  if (launcher !== "jobset" && launcher !== "trainjob") return;
  if (job.image === undefined)
    find(
      "image",
      `The launcher "${launcher}" starts containers and needs an image`,
      "such as nvcr.io/nvidia/pytorch:25.06-py3",
    );
  if (job.queue !== undefined && !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(job.queue))
    find("queue", `"${job.queue}" is not the name of a Kueue queue`);
  const named = [
    ...Object.keys(job.resources ?? {}),
    ...(job.deviceResource === undefined ? [] : [job.deviceResource]),
  ];
  for (const name of named)
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)?$/.test(name))
      find("resources", `"${name}" is not a resource as Kubernetes names them`, "such as nvidia.com/gpu");
}

/** torchrun sets these itself, for every process or from them. */
const reserved =
  /^(RANK|LOCAL_RANK|GROUP_RANK|NODE_RANK|ROLE_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|ROLE_WORLD_SIZE|MASTER_ADDR|MASTER_PORT|PET_.*|TORCHELASTIC_(RUN_ID|RESTART_COUNT|MAX_RESTARTS))$/;

function checkProgram(job: LaunchJob, find: Find): void {
  if (job.program.length === 0 || (job.program.length === 1 && job.program[0]!.startsWith("-")))
    find("program", "There is no program to run", 'give a script, or "-m" and a module');
  else if (job.program[0]!.startsWith("-") && job.program[0] !== "-m")
    find(
      "program",
      `"${job.program[0]}" is an option of torchrun, not a script`,
      'give a script, or "-m" and a module',
    );
  if (job.program.some(isUnspeakable))
    find("program", "An argument holds a NUL or half a surrogate pair, which no program can be given");
  for (const [name, value] of Object.entries(job.environment)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) find(`environment.${name}`, `"${name}" is not the name of a variable`);
    else if (reserved.test(name)) find(`environment.${name}`, "torchrun sets this variable itself", "leave it out");
    if (isUnspeakable(value)) find(`environment.${name}`, "The value holds a NUL or half a surrogate pair");
  }
}

function isUnspeakable(text: string): boolean {
  return /\0|[\ud800-\udfff]/u.test(text);
}

/** What a ConfigMap may hold together (Kubernetes docs, concepts/configuration/configmap: 1 MiB). */
const configMapBytes = 2 ** 20;

function checkFiles(launcher: LauncherName, job: LaunchJob, find: Find): void {
  const seen = new Set<string>();
  for (const { path, text } of job.files) {
    if (
      path.startsWith("/") ||
      path.split("/").some((part) => part === "" || part === "." || part === "..") ||
      isUnspeakable(path)
    )
      find("files", `"${path}" does not lie in the job's folder`, "give a relative path without dots");
    if (seen.has(path)) find("files", `"${path}" is there twice`);
    seen.add(path);
    if (isUnspeakable(text)) find("files", `"${path}" is not text`);
  }
  const isManifest = launcher === "jobset" || launcher === "trainjob";
  const bytes = job.files.reduce((sum, file) => sum + utf8Bytes(file.text), 0);
  if (isManifest && bytes > configMapBytes)
    find(
      "files",
      `The files hold ${bytes} bytes together, and a ConfigMap at most ${configMapBytes}`,
      "put them into the image",
    );
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}
