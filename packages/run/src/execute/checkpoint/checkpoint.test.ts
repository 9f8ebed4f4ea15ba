import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lowerTraining, meshSize, type Program } from "@meshwright/core";
import { afterAll, describe, expect, it } from "vitest";
import { sliceIndices } from "../../reference/slices.ts";
import { plainChoice, tinyCase } from "../../reference/tinyCases.fixture.ts";
import { completeCheckpoints, resolveCheckpoint, stepFolder } from "./folder.ts";
import { consolidate, inspectCheckpoint } from "./inspect.ts";
import { globalTensors, heldFragments, writtenFragments } from "./layout.ts";
import { type CheckpointFacts, readManifest } from "./manifest.ts";
import { CheckpointReader, restoreShards, type WritableShard } from "./restore.ts";
import { coverAll, cutRuns, gather, numElements, type Run, scatter, sliceRuns } from "./runs.ts";
import { readEntries } from "./safetensors.ts";
import { SavePlan } from "./savePlan.ts";
import { CheckpointSaver } from "./saver.ts";
import { performSave } from "./writeCheckpoint.ts";

const root = mkdtempSync(join(tmpdir(), "meshwright-checkpoint-"));
afterAll(() => rmSync(root, { recursive: true }));

const zero1 = { kind: "zero1", shardShare: 1, reshard: true };
const zero3 = { kind: "zero3", shardShare: 1, reshard: true };
const tp2 = { tp: 2, sequenceParallel: false };
const pp2 = { pp: 2, schedule: "1f1b", numChunks: 1 };
const ways: readonly object[] = [
  {},
  { dp: 2 },
  { dp: 2, sharding: zero1 },
  { dp: 2, sharding: zero3, tensor: { tp: 2, sequenceParallel: true } },
  { tensor: { tp: 2, sequenceParallel: true }, pipeline: pp2 },
  { pipeline: pp2, dp: 2, sharding: zero1 },
  { context: { cp: 2, ulysses: 1, cpLayout: "zigzag" }, sharding: zero3 },
];
const expertWays: readonly object[] = [
  { dp: 2, expert: { ep: 2, etp: 1 }, sharding: zero1 },
  { tensor: tp2, expert: { ep: 1, etp: 2 }, dp: 2, sharding: zero3 },
  { tensor: { tp: 2, sequenceParallel: true }, expert: { ep: 2, etp: 1 } },
];
function programOf(choice: object): Program {
  const { model, strategy, workload, software } = tinyCase({ ...plainChoice, ...choice });
  return lowerTraining(model, strategy, workload, software);
}
const programs = [
  ...["llama", "gpt", "multiQuery", "mtp"].flatMap((model) => ways.map((way) => programOf({ model, ...way }))),
  ...["muon", "adafactor"].flatMap((optimizer) =>
    [...ways, ...expertWays].map((way) => programOf({ model: "sharedMoe", optimizer, ...way })),
  ),
  ...["moe", "sharedMoe"].flatMap((model) => [...ways, ...expertWays].map((way) => programOf({ model, ...way }))),
];

function expand(runs: readonly Run[]): number[] {
  return runs.flatMap(({ start, length, count, stride }) =>
    Array.from({ length: count }, (_, k) => Array.from({ length }, (_, i) => start + k * stride + i)).flat(),
  );
}

/** Shards as an engine would hold them, every element its own value. */
function shardsOf(program: Program, rank: number, value: (key: string, index: number) => number): WritableShard[] {
  return heldFragments(program, rank).map((fragment) => {
    const { name, role, shardRole, slice, offset, runs } = fragment;
    const values = new Float32Array(numElements(runs));
    for (const [i, index] of expand(runs).entries()) values[i] = value(`${name} ${role}`, index);
    return { name, role: shardRole, offset, values, slice };
  });
}

function hashed(key: string, index: number): number {
  let h = index + 1;
  for (let i = 0; i < key.length; i++) h = (h * 31 + key.charCodeAt(i)) % 8191;
  return h;
}

const facts = (step: number): CheckpointFacts => ({
  training: { step, optimizerSteps: step, sequencesSeen: step * 8, lossScale: 1, stepsAtScale: step },
  optimizer: "adamw",
  seed: 1,
  model: "tiny",
  mesh: "dp=2",
  data: { fingerprint: "f", tokenizer: { kind: "byte", merges: [] } },
});

/** Without threads: rank 0, which publishes, last. */
function save(folder: string, program: Program, step: number, keep: number | null = null): void {
  for (let rank = meshSize(program.mesh) - 1; rank >= 0; rank--) {
    const shards = shardsOf(program, rank, (key, index) => hashed(key, index) + step);
    performSave(new SavePlan({ root: folder, program, rank, shards, keep }).request(facts(step)), () => {});
  }
}

describe("runs", () => {
  it("list the elements that sliceIndices() lists, of every slice of the covering set", () => {
    let compared = 0;
    for (const program of programs) {
      for (let rank = 0; rank < meshSize(program.mesh); rank++) {
        for (const block of program.blocks) {
          for (const { param } of block.buffers) {
            if (param === undefined) continue;
            const slow = sliceIndices(param, program.mesh, rank);
            const runs = sliceRuns(param, program.mesh, rank);
            expect(expand(runs)).toEqual([...slow]);
            const [from, length] = [Math.floor(slow.length / 3), Math.ceil(slow.length / 2)];
            expect(expand(cutRuns(runs, from, length))).toEqual([...slow.subarray(from, from + length)]);
            expect(expand(cutRuns(runs, from, slow.length))).toEqual([...slow.subarray(from)]);
            compared++;
          }
        }
      }
    }
    expect(compared).toBeGreaterThan(1000);
  });

  it("gather what scatter wrote", () => {
    const runs: Run[] = [
      { start: 2, length: 2, count: 3, stride: 5 },
      { start: 20, length: 4, count: 1, stride: 0 },
    ];
    const global = new Float32Array(30);
    scatter(
      Float32Array.from({ length: 10 }, (_, i) => i + 1),
      runs,
      global,
    );
    const back = new Float32Array(10);
    gather(global, runs, back);
    expect([...back]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect([...global.subarray(0, 10)]).toEqual([0, 0, 1, 2, 0, 0, 0, 3, 4, 0]);
  });
});

describe("the layout of a checkpoint", () => {
  it("writes every element of every tensor, on every mesh of the covering set", () => {
    for (const program of programs) {
      const written = writtenFragments(program).flat();
      for (const [key, shape] of globalTensors(program)) {
        const runs = written.filter(({ name, role }) => `${name} ${role}` === key).map((fragment) => fragment.runs);
        expect(
          coverAll(
            runs,
            shape.reduce((product, n) => product * n, 1),
          ),
        ).toBe(true);
      }
    }
  });

  it("spreads what data-parallel replicas hold alike over all of them", () => {
    const program = programOf({ dp: 2 });
    const bytes = writtenFragments(program).map((list) => list.reduce((sum, { runs }) => sum + numElements(runs), 0));
    expect(bytes.length).toBe(meshSize(program.mesh));
    expect(Math.min(...bytes)).toBeGreaterThan(0.6 * Math.max(...bytes));
  });
});

describe("a checkpoint", () => {
  it("fills the shards of any other mesh with the values that were saved", async () => {
    const tensorsOf = (program: Program) =>
      [...globalTensors(program)].map(([name, shape]) => `${name} ${shape}`).join();
    for (const [name, moe] of [
      ["adamw", programs.slice(-20, -10)],
      ["adafactor", programs.slice(-30, -20)],
    ] as const) {
      const group = moe.filter((program) => tensorsOf(program) === tensorsOf(moe[0]!));
      expect(new Set(group.map(({ mesh }) => JSON.stringify(mesh))).size).toBeGreaterThan(6);
      for (const [i, from] of group.entries()) {
        const folder = join(root, `any-${name}-${i}`);
        save(folder, from, 3);
        const reader = new CheckpointReader(resolveCheckpoint(folder), readManifest(resolveCheckpoint(folder)));
        for (const to of group) {
          for (let rank = 0; rank < meshSize(to.mesh); rank++) {
            const shards = shardsOf(to, rank, () => -1);
            restoreShards(reader, to.mesh, rank, shards);
            const wanted = shardsOf(to, rank, (key, index) => hashed(key, index) + 3);
            for (const [s, { values }] of shards.entries()) expect(values).toEqual(wanted[s]!.values);
          }
        }
      }
    }
  });

  const program = programs[3]!;

  it("keeps the last ones and leaves nothing partial", async () => {
    const folder = join(root, "keep");
    for (const step of [10, 20, 30]) save(folder, program, step, 2);
    expect(completeCheckpoints(folder).map(({ step }) => step)).toEqual([20, 30]);
    expect(readdirSync(folder).sort()).toEqual(["step-00000020", "step-00000030"]);
    const report = inspectCheckpoint(folder);
    expect(report).toMatchObject({ step: 30, sequencesSeen: 240, damage: [] });
  });

  it("is written again when training comes by the same step again", async () => {
    const folder = join(root, "again");
    save(folder, program, 5);
    save(folder, program, 5);
    expect(inspectCheckpoint(folder).damage).toEqual([]);
  });

  it("shows every kind of damage", async () => {
    const sound = join(root, "sound");
    save(sound, program, 1);
    const from = stepFolder(sound, 1);
    const file = readdirSync(from).filter((name) => name.endsWith(".safetensors"))[0]!;
    const spoil = (name: string, how: (folder: string) => void): string => {
      const folder = join(root, name, "step-00000001");
      cpSync(from, folder, { recursive: true });
      how(folder);
      return folder;
    };
    const bytes = readFileSync(join(from, file));
    const flipped = spoil("flipped", (folder) => {
      const copy = Buffer.from(bytes);
      copy[copy.length - 2]! ^= 4;
      writeFileSync(join(folder, file), copy);
    });
    const cut = spoil("cut", (folder) => writeFileSync(join(folder, file), bytes.subarray(0, bytes.length - 4)));
    const gone = spoil("gone", (folder) => rmSync(join(folder, file)));
    expect(inspectCheckpoint(from).damage).toEqual([]);
    expect(inspectCheckpoint(flipped).damage.join()).toContain("does not match its checksum");
    expect(inspectCheckpoint(cut).damage.join()).toContain("reaches beyond its end");
    expect(inspectCheckpoint(gone).damage.join()).toContain("is missing");
    const lied = spoil("lied", (folder) => {
      const path = join(folder, "manifest.json");
      writeFileSync(path, readFileSync(path, "utf8").replace('"step":1', '"step":9'));
    });
    expect(() => inspectCheckpoint(lied)).toThrow("does not match its digest");
  });

  it("of another model is refused with what differs", async () => {
    const folder = join(root, "sound");
    const reader = new CheckpointReader(resolveCheckpoint(folder), readManifest(resolveCheckpoint(folder)));
    const [first] = shardsOf(program, 0, () => 0);
    const slice = { ...first!.slice, columns: first!.slice.columns + 1 };
    expect(() => restoreShards(reader, program.mesh, 0, [{ ...first!, slice }])).toThrow("there and");
    expect(() => restoreShards(reader, program.mesh, 0, [{ ...first!, name: "other" }])).toThrow("Holds no other");
  });

  it("is one safetensors file when consolidated", async () => {
    const target = join(root, "all.safetensors");
    const written = consolidate(join(root, "sound"), target);
    const entries = readEntries(target);
    expect(entries.size).toBe(written);
    for (const [key, shape] of globalTensors(program))
      if (key.endsWith(" weight")) expect(entries.get(key.slice(0, -7))?.shape).toEqual(shape);
  });

  it("is written behind the rank, which changes its values as soon as they are copied", async () => {
    const folder = join(root, "behind");
    const single = programs[0]!;
    const shards = shardsOf(single, 0, (key, index) => hashed(key, index));
    const saver = new CheckpointSaver({
      root: folder,
      program: single,
      rank: 0,
      shards,
      keep: null,
      timeoutMs: 30_000,
    });
    saver.begin(facts(1));
    saver.settle();
    for (const { values } of shards) values.fill(7);
    saver.begin(facts(2));
    saver.finish();
    await saver.close();
    const read = (step: number) => {
      const reader = new CheckpointReader(stepFolder(folder, step), readManifest(stepFolder(folder, step)));
      return reader.tensor(`${shards[0]!.name} weight`);
    };
    expect([...read(1).subarray(0, 4)]).toEqual([0, 1, 2, 3].map((i) => hashed(`${shards[0]!.name} weight`, i)));
    expect(new Set(read(2))).toEqual(new Set([7]));
  });

  it("says what is wrong when it cannot be written", async () => {
    const file = join(root, "a-file");
    writeFileSync(file, "");
    const shards = shardsOf(program, 0, () => 0);
    const saver = new CheckpointSaver({ root: file, program, rank: 0, shards, keep: null, timeoutMs: 10_000 });
    saver.begin(facts(1));
    expect(() => saver.finish()).toThrow("Cannot write a checkpoint");
    await saver.close();
  });
});
