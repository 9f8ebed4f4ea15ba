// The kernels of `meshwright run`: products as a share of what WebAssembly's vectors can do here, and one training step of a llama-like model of 10M parameters
// through the rank engine, with fast and with plain kernels, beside TensorFlow.js (wasm backend) on the same step. One thread each.
//
//   node bench/kernels.bench.mjs [--json] [--rounds 6] [--plain-steps 0] [--no-plain]
//
// Every figure is the least CPU time of rounds that take turns, so that load on the machine meets all alike; ratios are of one run. The peak is a loop of
// multiplications and additions on registers. TensorFlow.js is installed on demand: npm install --prefix bench/peers. Needs the build.

import { existsSync } from "node:fs";

const args = process.argv.slice(2);
const option = (name, fallback) => Number(args[args.indexOf(name) + 1]) || fallback;
const json = args.includes("--json");
const rounds = option("--rounds", 6);
const plainSteps = option("--plain-steps", 0);

const dist = (path) => new URL(`../packages/${path}`, import.meta.url).href;
if (!existsSync(new URL(dist("run/dist/kernels.wasm")))) {
  console.error("kernels.bench.mjs needs the build: npm run build");
  process.exit(1);
}
const { rankMemory, sharedMemory } = await import(dist("run/dist/execute/memory/index.js"));
const { wasmKernels } = await import(dist("run/dist/execute/kernels/wasmKernels.js"));
const { wasmModule } = await import(dist("run/dist/execute/kernels/wasmModule.js"));
const { plainKernels } = await import(dist("run/dist/reference/kernels/plain.js"));
const { RankEngine, plainStep } = await import(dist("run/dist/execute/engine/rankEngine.js"));
const { prepareRun } = await import(dist("run/dist/execute/launch/prepare.js"));
const { paddedVocab } = await import(dist("run/dist/execute/launch/runRank.js"));
const { hashedTokens } = await import(dist("run/dist/reference/data.js"));
const { initialValue } = await import(dist("run/dist/reference/slices.js"));
const { resolveSpec } = await import(dist("core/dist/spec/index.js"));

/** CPU time of the process: what other jobs take of the machine does not count. */
const secondsOf = (run) => {
  const from = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1e6;
};

const products = benchProducts();
if (!json) printProducts(products);
const step = await benchStep();
const report = { version: 1, node: process.version, rounds, products, step };
if (json) console.log(JSON.stringify(report, null, 2));
else printStep(step);

function benchProducts() {
  const { memory, regions } = sharedMemory([96 * 2 ** 20]);
  const mats = rankMemory(memory, regions[0].startBytes, regions[0].sizeBytes, 0);
  const { exports } = wasmModule(mats.arena);
  const kernels = wasmKernels(mats.arena);
  const shapes = [
    [64, 64, 64],
    [256, 256, 256],
    [512, 512, 512],
    [1024, 1024, 1024],
    [512, 2048, 384],
    [512, 384, 1024],
    [31, 257, 129],
  ].map(([m, n, k]) => {
    const [a, b, out] = [mats.allocate(m, k, 0), mats.allocate(n, k, 0), mats.allocate(m, n, 0)];
    for (const each of [a, b]) each.data.fill(0.5, each.offset, each.offset + each.rows * each.cols);
    return { m, n, k, a, b, out, repeats: Math.max(1, Math.round(5e7 / (2 * m * n * k))), best: 0 };
  });
  const peakRounds = 500_000;
  let peak = 0;
  for (let round = 0; round < 3 * rounds; round++) {
    const sec = secondsOf(() => exports.peakLoop(peakRounds));
    // 12 chains of a multiplication and an addition of 4 values.
    if (round > 0) peak = Math.max(peak, (96 * peakRounds) / sec);
    for (const shape of shapes) {
      const { m, n, k, a, b, out, repeats } = shape;
      const flags = { transA: false, transB: true, accumulate: false };
      const time = secondsOf(() => {
        for (let i = 0; i < repeats; i++) kernels.matmul(a, b, out, flags);
      });
      shape.best = Math.max(shape.best, (2 * m * n * k * repeats) / time);
    }
  }
  return {
    peakFlopsPerSec: peak,
    shapes: shapes.map(({ m, n, k, best }) => ({ m, n, k, flopsPerSec: best, peakFrac: best / peak })),
  };
}

async function benchStep() {
  const shape = { layers: 6, hidden: 384, heads: 6, ffn: 1024, vocab: 256, seq: 256, batch: 2 };
  const { layers, hidden, heads, ffn, vocab, seq, batch } = shape;
  const device = { name: "core", peak: { fp32: "30GFLOP/s" }, memory: "8GiB", memory_bandwidth: "8GB/s" };
  const resolved = resolveSpec(
    {
      model: { layers, hidden, heads, kv_heads: heads, ffn, vocab },
      cluster: { name: "here", nodes: 1, gpus_per_node: 1, device, scale_up: { kind: "switch", bandwidth: "4GB/s" } },
      workload: { seq, global_batch: batch },
      strategy: { precision: "fp32", micro_batch: batch },
      software: { preset: "generic", reserved_bytes: 0 },
    },
    { load: () => undefined },
  );
  const { program, arenaBytes } = prepareRun(resolved);
  const tokens = hashedTokens(vocab);
  const engineWith = (kernelsOf) => {
    const { memory, regions } = sharedMemory(arenaBytes);
    const mats = rankMemory(memory, regions[0].startBytes, regions[0].sizeBytes, 0);
    const silent = () => {
      throw new Error("a rank that is alone sends nothing");
    };
    return new RankEngine({
      program,
      rank: 0,
      link: { rank: 0, numRanks: 1, post: silent, wait: silent, receive: silent },
      groups: silent,
      memory: mats,
      kernels: kernelsOf(mats),
      vocab: paddedVocab(program),
      initial: initialValue,
      rounds: false,
      poison: false,
      recordsSpans: false,
    });
  };
  const fast = engineWith((mats) => wasmKernels(mats.arena));
  const plain = engineWith(() => plainKernels);
  const peer = await tensorflowStep(shape);
  let numParameters = 0;
  for (const { role, values } of fast.shards()) if (role === "parameter") numParameters += values.length;
  const best = {
    fast: Number.POSITIVE_INFINITY,
    plain: Number.POSITIVE_INFINITY,
    tensorflow: Number.POSITIVE_INFINITY,
  };
  // The plain step takes so long that its first one counts; what compiling adds is small beside it.
  const losses = [fast.step(tokens, plainStep).loss];
  if (!args.includes("--no-plain")) best.plain = secondsOf(() => losses.push(plain.step(tokens, plainStep).loss));
  peer?.step();
  for (let round = 0; round < rounds; round++) {
    best.fast = Math.min(
      best.fast,
      secondsOf(() => fast.step(tokens, plainStep)),
    );
    if (peer !== null)
      best.tensorflow = Math.min(
        best.tensorflow,
        secondsOf(() => peer.step()),
      );
    if (round < plainSteps)
      best.plain = Math.min(
        best.plain,
        secondsOf(() => plain.step(tokens, plainStep)),
      );
  }
  return {
    ...shape,
    numParameters,
    peerParameters: peer?.numParameters ?? null,
    losses,
    fastSec: best.fast,
    plainSec: best.plain,
    tensorflowSec: peer === null ? null : best.tensorflow,
    plainOverFast: best.plain / best.fast,
    tensorflowOverFast: peer === null ? null : best.tensorflow / best.fast,
  };
}

/** The same model and optimizer on TensorFlow.js: a step that ends when its loss is known. Null where it is not installed. */
async function tensorflowStep({ layers, hidden, heads, ffn, vocab, seq, batch }) {
  const folder = new URL("./peers/node_modules/@tensorflow/", import.meta.url);
  if (!existsSync(folder)) return null;
  const tf = (await import(new URL("tfjs/dist/tf.node.js", folder).href)).default;
  const { createRequire } = await import("node:module");
  const backend = createRequire(import.meta.url)(
    new URL("tfjs-backend-wasm/dist/tf-backend-wasm.node.js", folder).pathname,
  );
  const wasmFolder = new URL("tfjs-backend-wasm/dist/", folder).pathname;
  backend.setWasmPaths(wasmFolder);
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js has no wasm backend here");
  await tf.ready();
  const dim = hidden / heads;
  const weight = (...dims) => tf.variable(tf.randomNormal(dims, 0, 0.05));
  const ones = () => tf.variable(tf.ones([hidden]));
  const blocks = Array.from({ length: layers }, () => ({
    before: ones(),
    qkv: weight(hidden, 3 * hidden),
    out: weight(hidden, hidden),
    after: ones(),
    up: weight(hidden, 2 * ffn),
    down: weight(ffn, hidden),
  }));
  const table = weight(vocab, hidden);
  const last = ones();
  const head = weight(hidden, vocab);
  const variables = [table, last, head, ...blocks.flatMap((each) => Object.values(each))];
  const inputs = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: batch * seq }, (_, i) => (i * 37) % vocab),
      "int32",
    ),
    vocab,
  );
  const labels = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: batch * seq }, (_, i) => (i * 41) % vocab),
      "int32",
    ),
    vocab,
  );
  const mask = tf.tensor2d(
    Array.from({ length: seq * seq }, (_, i) => (i % seq <= Math.floor(i / seq) ? 0 : -1e9)),
    [seq, seq],
  );
  const angles = tf.tensor2d(
    Array.from(
      { length: (seq * dim) / 2 },
      (_, i) => Math.floor(i / (dim / 2)) * 10000 ** ((-2 * (i % (dim / 2))) / dim),
    ),
    [seq, dim / 2],
  );
  const [cos, sin] = [tf.cos(angles), tf.sin(angles)];
  const norm = (x, w) => tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), 1e-5))), w);
  const split = (x) => tf.transpose(tf.reshape(x, [batch, seq, heads, dim]), [0, 2, 1, 3]);
  const turn = (x) => {
    const [l, r] = tf.split(x, 2, 3);
    return tf.concat([tf.sub(tf.mul(l, cos), tf.mul(r, sin)), tf.add(tf.mul(l, sin), tf.mul(r, cos))], 3);
  };
  const forward = () => {
    // The wasm backend has no gradient of gather: one-hot rows times the table, 1 % more work.
    let x = tf.matMul(inputs, table);
    for (const each of blocks) {
      const [q, k, v] = tf.split(tf.matMul(norm(x, each.before), each.qkv), 3, 1);
      const scores = tf.add(tf.mul(tf.matMul(turn(split(q)), turn(split(k)), false, true), 1 / Math.sqrt(dim)), mask);
      const mixed = tf.transpose(tf.matMul(tf.softmax(scores), split(v)), [0, 2, 1, 3]);
      x = tf.add(x, tf.matMul(tf.reshape(mixed, [batch * seq, hidden]), each.out));
      const [gate, up] = tf.split(tf.matMul(norm(x, each.after), each.up), 2, 1);
      x = tf.add(x, tf.matMul(tf.mul(tf.mul(gate, tf.sigmoid(gate)), up), each.down));
    }
    return tf.losses.softmaxCrossEntropy(labels, tf.matMul(norm(x, last), head));
  };
  const optimizer = tf.train.adam(1e-3, 0.9, 0.95, 1e-8);
  return {
    numParameters: variables.reduce((sum, each) => sum + each.size, 0),
    step: () => {
      const loss = optimizer.minimize(forward, true, variables);
      const value = loss.dataSync()[0];
      loss.dispose();
      return value;
    },
  };
}

function printProducts({ peakFlopsPerSec, shapes }) {
  console.log(`peak of multiplications and additions on registers: ${(peakFlopsPerSec / 1e9).toFixed(1)} GFLOP/s`);
  for (const { m, n, k, flopsPerSec, peakFrac } of shapes) {
    const size = `${m} x ${n} x ${k}`.padEnd(20);
    console.log(
      `  product ${size}${(flopsPerSec / 1e9).toFixed(1).padStart(6)} GFLOP/s  ${(100 * peakFrac).toFixed(0).padStart(3)} % of the peak  target >= 60 %`,
    );
  }
}

function printStep(s) {
  const millions = (n) => `${(n / 1e6).toFixed(2)}M`;
  console.log(
    `step of ${millions(s.numParameters)} parameters, ${s.batch} x ${s.seq} tokens, f32, one thread (losses ${s.losses.map((x) => x.toFixed(5)).join(", ")})`,
  );
  console.log(`  fast kernels   ${s.fastSec.toFixed(3)} s`);
  if (!Number.isFinite(s.plainSec)) console.log("  plain kernels  not measured");
  else console.log(`  plain kernels  ${s.plainSec.toFixed(3)} s  ${s.plainOverFast.toFixed(1)} times  target >= 5`);
  if (s.tensorflowSec === null) console.log("  TensorFlow.js is not installed: npm install --prefix bench/peers");
  else
    console.log(
      `  TensorFlow.js  ${s.tensorflowSec.toFixed(3)} s  ${s.tensorflowOverFast.toFixed(2)} times (${millions(s.peerParameters)} parameters)  target >= 1`,
    );
}
