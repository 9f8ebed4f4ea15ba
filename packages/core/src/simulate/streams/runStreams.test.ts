import fc from "fast-check";
import { expect, test } from "vitest";
import { runStreams } from "./runStreams.ts";
import { HOST_SHARE, makeStreamOps, NUM_STREAMS, type StreamOps } from "./streamOps.ts";

/** Random ops on random streams, each waiting for some earlier ones. */
const sequences = fc
  .array(
    fc.record({
      stream: fc.nat(NUM_STREAMS - 1),
      durationSec: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 10, noNaN: true })),
      launchSec: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 2, noNaN: true })),
      waits: fc.array(fc.nat(), { maxLength: 3 }),
      matrix: fc.nat(1),
      level: fc.integer({ min: -1, max: 1 }),
      frac: fc.double({ min: 0, max: 0.4, noNaN: true }),
      spills: fc.boolean(),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((list): StreamOps => {
    const ops = makeStreamOps(list.length);
    list.forEach((each, i) => {
      ops.stream[i] = each.stream;
      ops.durationSec[i] = each.durationSec;
      ops.launchSec[i] = each.launchSec;
      ops.share[i] = each.stream === 0 ? 0 : 1 + (each.stream % 5);
      ops.matrix[i] = each.matrix;
      ops.position[i] = i >> 2;
      if (each.stream > 0) {
        ops.level[i] = each.level;
        ops.unitFrac[i] = each.frac;
        ops.hbmFrac[i] = each.frac / 2;
        ops.rateBesideCompute[i] = 1 - each.frac;
        ops.spills[i] = each.spills ? 1 : 0;
      }
      for (const wait of each.waits) {
        if (i === 0) continue;
        const target = wait % i;
        const stream = ops.stream[target]!;
        const at = i * NUM_STREAMS + stream;
        if (stream !== each.stream) ops.deps[at] = Math.max(ops.deps[at]!, target);
      }
    });
    return ops;
  });

const close = 1e-7;

test("runStreams() runs a stream's ops one after another, in order, after what they wait for and after their issue", () => {
  fc.assert(
    fc.property(sequences, fc.double({ min: 0, max: 5, noNaN: true }), (ops, lead) => {
      const run = runStreams(ops, lead, 0.4);
      const free = new Float64Array(NUM_STREAMS);
      let hostSec = -lead;
      for (let i = 0; i < ops.stream.length; i++) {
        hostSec += ops.launchSec[i]!;
        const s = ops.stream[i]!;
        expect(run.startSec[i]!).toBeGreaterThanOrEqual(free[s]! - close);
        expect(run.startSec[i]!).toBeGreaterThanOrEqual(hostSec - close);
        expect(run.endSec[i]! - run.startSec[i]!).toBeGreaterThanOrEqual(ops.durationSec[i]! - close);
        free[s] = run.endSec[i]!;
        for (let q = 0; q < NUM_STREAMS; q++) {
          const dep = ops.deps[i * NUM_STREAMS + q]!;
          if (dep >= 0) expect(run.startSec[i]!).toBeGreaterThanOrEqual(run.endSec[dep]! - close);
        }
      }
    }),
  );
});

test("runStreams() without contention equals the recurrence start = max(stream free, waits ended, issued)", () => {
  fc.assert(
    fc.property(sequences, (ops) => {
      ops.unitFrac.fill(0);
      ops.hbmFrac.fill(0);
      ops.rateBesideCompute.fill(1);
      ops.level.fill(-1);
      const run = runStreams(ops, 0, 1);
      const free = new Float64Array(NUM_STREAMS);
      const end = new Float64Array(ops.stream.length);
      let hostSec = 0;
      for (let i = 0; i < ops.stream.length; i++) {
        hostSec += ops.launchSec[i]!;
        let start = Math.max(free[ops.stream[i]!]!, hostSec);
        for (let q = 0; q < NUM_STREAMS; q++) {
          const dep = ops.deps[i * NUM_STREAMS + q]!;
          if (dep >= 0) start = Math.max(start, end[dep]!);
        }
        end[i] = start + ops.durationSec[i]!;
        free[ops.stream[i]!] = end[i]!;
        expect(run.endSec[i]!).toBeCloseTo(end[i]!, 6);
      }
    }),
  );
});

test("runStreams() never takes longer than the ops one after another when overlap costs nothing", () => {
  fc.assert(
    fc.property(sequences, (ops) => {
      ops.unitFrac.fill(0);
      ops.hbmFrac.fill(0);
      ops.rateBesideCompute.fill(1);
      ops.level.fill(-1);
      const run = runStreams(ops, 0, 1);
      const serial = ops.durationSec.reduce((a, b) => a + b, 0) + ops.launchSec.reduce((a, b) => a + b, 0);
      expect(run.durationSec + run.spillSec).toBeLessThanOrEqual(serial + close);
    }),
  );
});

test("runStreams() charges every second of the action to exactly one share, and op by op", () => {
  fc.assert(
    fc.property(sequences, (ops) => {
      const run = runStreams(ops, 0, 0.4);
      expect(run.shares.reduce((a, b) => a + b, 0)).toBeCloseTo(run.durationSec, 6);
      const charged = run.exposedSec.reduce((a, b) => a + b, 0) + run.shares[HOST_SHARE]!;
      expect(charged).toBeCloseTo(run.durationSec, 6);
      for (let i = 0; i < ops.stream.length; i++)
        expect(run.exposedSec[i]!).toBeLessThanOrEqual(run.endSec[i]! - run.startSec[i]! + close);
    }),
  );
});

test("runStreams() slows matrix work by the compute units a collective takes, only while both run", () => {
  const ops = makeStreamOps(2);
  ops.durationSec.set([10, 4]);
  ops.stream.set([0, 1]);
  ops.share.set([0, 1]);
  ops.matrix.set([1, 0]);
  ops.level.set([-1, 0]);
  ops.unitFrac.set([0, 0.25]);
  ops.rateBesideCompute.set([1, 0.8]);
  const run = runStreams(ops, 0, 0.1);
  // The collective lasts 4 / 0.8 = 5 s; in those the matmul does 3.75 s of work, the rest alone.
  expect(run.endSec[1]).toBeCloseTo(5, 9);
  expect(run.endSec[0]).toBeCloseTo(5 + (10 - 3.75), 9);
});

test("runStreams() gives two collectives on one level half the links each", () => {
  const ops = makeStreamOps(2);
  ops.durationSec.set([3, 1]);
  ops.stream.set([1, 3]);
  ops.share.set([1, 3]);
  ops.level.set([1, 1]);
  const run = runStreams(ops, 0, 0.4);
  expect([run.endSec[1], run.endSec[0]]).toEqual([2, 4]);
});

test("runStreams() lets a spilling op outlast the action", () => {
  const ops = makeStreamOps(2);
  ops.durationSec.set([1, 5]);
  ops.stream.set([0, 5]);
  ops.share.set([0, 4]);
  ops.spills.set([0, 1]);
  const run = runStreams(ops, 0, 0.4);
  expect([run.durationSec, run.spillSec]).toEqual([1, 4]);
});

test("runStreams() issues nothing past an op that the host must read, until that op has ended", () => {
  const ops = makeStreamOps(4);
  ops.durationSec.set([1, 1, 1, 1]);
  ops.launchSec.set([0.1, 0.1, 0.1, 0.1]);
  const free = runStreams(ops, 1, 0);
  expect(free.durationSec).toBeCloseTo(4, 9);
  ops.hostSync[1] = 1;
  const read = runStreams(ops, 1, 0);
  // Launch and read-back lie bare after the second op; the fourth is issued while the third runs.
  expect(read.startSec[2]! - read.endSec[1]!).toBeGreaterThan(0.1);
  expect(read.startSec[2]! - read.endSec[1]!).toBeLessThan(0.1001);
  expect(read.startSec[3]).toBeCloseTo(read.endSec[2]!, 9);
  expect(read.shares[HOST_SHARE]! - free.shares[HOST_SHARE]!).toBeCloseTo(read.durationSec - free.durationSec, 9);
});

test("runStreams() launches each op of a device that issues its own work after the one before has ended", () => {
  const ops = makeStreamOps(4, true);
  ops.durationSec.set([1, 2, 3, 4]);
  ops.launchSec.set([0.1, 0.1, 0.1, 0.1]);
  // The second and third on other streams, with nothing to wait for: they would run beside the rest.
  ops.stream.set([0, 1, 2, 0]);
  ops.share.set([0, 1, 2, 0]);
  const run = runStreams(ops, 0, 0);
  expect([...run.startSec].map((sec) => Number(sec.toFixed(9)))).toEqual([0.1, 1.2, 3.3, 6.4]);
  expect(run.durationSec).toBeCloseTo(10.4, 9);
  expect([...run.shares].slice(0, 3).map((sec) => Number(sec.toFixed(9)))).toEqual([5, 2, 3]);
  expect(run.shares[HOST_SHARE]).toBeCloseTo(0.4, 9);
});
