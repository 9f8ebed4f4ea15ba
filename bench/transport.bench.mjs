// How fast ranks exchange data: all-reduce of 4 B to 64 MiB between two ranks, and the latency of small messages, over threads, TCP and MPI.
//
//   node bench/transport.bench.mjs [--json] [--only threads|tcp|mpi] [--quick]
//
// Algorithm bandwidth is buffer bytes / time of one all-reduce, as nccl-tests defines "algbw". Times are the median of batches, each batch on rank 0
// between two barriers; a loaded machine shows in the spread, so the best batch is printed too. Uses the build (npm run build).

import { fork, spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const dist = (path) => new URL(`../packages/run/dist/execute/${path}`, import.meta.url).href;
const self = fileURLToPath(import.meta.url);
const targetBytesPerSec = 3e9;

/** Runs on every rank; the numbers of rank 0 count. */
async function measure(transport, allocate, quick, choice = "auto") {
  const { Communicator } = await import(dist("collectives/index.js"));
  const communicator = new Communicator(transport, [0, 1]);
  const rows = [];
  for (const sizeBytes of [4, 256, 4096, 65_536, 2 ** 20, 16 * 2 ** 20, 64 * 2 ** 20]) {
    const view = allocate(sizeBytes / 4);
    view.fill(1);
    const budgetMs = quick ? 20 : 120;
    communicator.allReduce(view, "max", choice);
    let calls = 1;
    const batches = [];
    for (let batch = 0; batch < 12; batch++) {
      communicator.barrier();
      const from = performance.now();
      for (let i = 0; i < calls; i++) communicator.allReduce(view, "max", choice);
      const spent = performance.now() - from;
      if (batch > 1) batches.push(spent / calls / 1000);
      // Ranks must agree on the number of calls of the next batch.
      const next = Float32Array.of(
        Math.min(20_000, Math.max(1, Math.round((calls * budgetMs) / Math.max(spent, 0.001) / 2))),
      );
      communicator.broadcast(next, 0);
      calls = next[0];
    }
    batches.sort((a, b) => a - b);
    rows.push({ kind: "all-reduce", sizeBytes, medianSec: batches[batches.length >> 1], bestSec: batches[0] });
  }
  const message = new Uint8Array(8);
  const trips = [];
  for (let batch = 0; batch < 10; batch++) {
    const numTrips = quick ? 200 : 2000;
    transport.barrier();
    const from = performance.now();
    for (let i = 0; i < numTrips; i++) {
      if (transport.rank === 0) transport.wait(transport.post(1, 1, message));
      transport.receive(1 - transport.rank, 1, message);
      if (transport.rank === 1) transport.wait(transport.post(0, 1, message));
    }
    trips.push((performance.now() - from) / numTrips / 2000);
  }
  trips.sort((a, b) => a - b);
  rows.push({ kind: "message of 8 B, one way", sizeBytes: 8, medianSec: trips[trips.length >> 1], bestSec: trips[0] });
  return rows;
}

async function threadRank() {
  const { world, rank, quick } = workerData;
  const { threadTransport } = await import(dist("transport/index.js"));
  const transport = threadTransport(world, rank);
  const regionBytes = world.memory.buffer.byteLength / 2;
  parentPort.postMessage(
    await measure(transport, (n) => new Float32Array(world.memory.buffer, rank * regionBytes, n), quick),
  );
  transport.close();
}

async function onThreads(quick) {
  const { createThreadWorld } = await import(dist("transport/index.js"));
  const pages = (2 * 65 * 2 ** 20) / 65_536;
  const world = createThreadWorld(2, new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  const workers = [0, 1].map((rank) => new Worker(self, { workerData: { world, rank, quick } }));
  const [rows] = await Promise.all(
    workers.map(
      (worker) =>
        new Promise((resolve, reject) => {
          worker.once("message", resolve);
          worker.once("error", reject);
        }),
    ),
  );
  return rows;
}

async function tcpRank([rank, port, mode]) {
  const { connectTcp } = await import(dist("transport/index.js"));
  const transport = await connectTcp({
    rank: Number(rank),
    numRanks: 2,
    host: "127.0.0.1",
    port: Number(port),
    job: "bench",
  });
  process.send(await measure(transport, (n) => new Float32Array(n), mode === "quick"));
  transport.close();
  process.exit();
}

async function onTcp(quick) {
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = server.address();
      server.close(() => resolve(free));
    });
  });
  const ranks = [0, 1].map(
    (rank) =>
      new Promise((resolve, reject) => {
        const child = fork(self, ["--tcp-rank", String(rank), String(port), quick ? "quick" : "full"]);
        child.once("message", resolve);
        child.once("exit", (code) => reject(new Error(`rank ${rank} ended with ${code}`)));
      }),
  );
  return (await Promise.all(ranks))[0];
}

async function mpiRank([mode, choice]) {
  const { mpiTransport } = await import(dist("transport/index.js"));
  const transport = mpiTransport();
  const rows = await measure(transport, (n) => new Float32Array(n), mode === "quick", choice);
  if (transport.rank === 0) process.stdout.write(`ROWS ${JSON.stringify(rows)}\n`);
  transport.close();
}

/** null where there is no mpirun. */
function onMpi(quick, choice) {
  const mpirun = ["mpirun.openmpi", "mpirun"].find((name) => spawnSync(name, ["--version"]).error === undefined);
  if (mpirun === undefined) return null;
  const asRoot = process.getuid?.() === 0 ? ["--allow-run-as-root"] : [];
  const args = [
    ...asRoot,
    "--oversubscribe",
    "-n",
    "2",
    process.execPath,
    self,
    "--mpi-rank",
    quick ? "quick" : "full",
    choice,
  ];
  const { stdout, stderr } = spawnSync(mpirun, args, { encoding: "utf8" });
  const found = /^ROWS (.*)$/m.exec(stdout);
  if (found === null) throw new Error(stderr);
  return JSON.parse(found[1]);
}

function text(name, rows) {
  const lines = [`\n${name}`];
  for (const { kind, sizeBytes, medianSec, bestSec } of rows) {
    const micro = (sec) => `${(sec * 1e6).toFixed(1).padStart(10)} us`;
    const rate = (sec) => (kind === "all-reduce" ? `${(sizeBytes / sec / 1e9).toFixed(2).padStart(7)} GB/s` : "");
    const target =
      name === "threads" && kind === "all-reduce" && sizeBytes === 16 * 2 ** 20
        ? `  target >= 3 GB/s ${sizeBytes / medianSec >= targetBytesPerSec ? "met" : "MISSED"}`
        : "";
    lines.push(
      `  ${kind.padEnd(24)}${String(sizeBytes).padStart(10)} B  median${micro(medianSec)}${rate(medianSec)}  best${micro(bestSec)}${rate(bestSec)}${target}`,
    );
  }
  return lines.join("\n");
}

if (!isMainThread) await threadRank();
else if (process.argv[2] === "--mpi-rank") await mpiRank(process.argv.slice(3));
else if (process.argv[2] === "--tcp-rank") await tcpRank(process.argv.slice(3));
else {
  const args = process.argv.slice(2);
  const quick = args.includes("--quick");
  const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : null;
  const report = {};
  if (only === null || only === "threads") report.threads = await onThreads(quick);
  if (only === null || only === "tcp") report.tcp = await onTcp(quick);
  if (only === null || only === "mpi") {
    const own = onMpi(quick, "auto");
    if (own === null) console.error("MPI is left out: no mpirun here");
    else Object.assign(report, { "MPI, our algorithms": own, "MPI, its own collectives": onMpi(quick, "native") });
  }
  if (args.includes("--json"))
    process.stdout.write(`${JSON.stringify({ version: 1, node: process.version, transports: report }, null, 2)}\n`);
  else for (const [name, rows] of Object.entries(report)) process.stdout.write(`${text(name, rows)}\n`);
}
