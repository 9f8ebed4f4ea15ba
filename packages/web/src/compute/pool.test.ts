import { MessageChannel as NodeChannel } from "node:worker_threads";
import { expose } from "comlink";
import { expect, test } from "vitest";
import type { Answer, ComputeWorker } from "./contract.ts";
import { WorkerPool } from "./pool.ts";

/** A worker made of a message channel: it answers with its number after `input.turns` turns, and never when that is -1. */
class FakeWorker {
  static started = 0;
  static ended: number[] = [];
  readonly number = ++FakeWorker.started;
  private readonly channel = new NodeChannel();
  readonly postMessage: MessagePort["postMessage"];
  readonly addEventListener: MessagePort["addEventListener"];
  readonly removeEventListener: MessagePort["removeEventListener"];

  constructor() {
    const { port1, port2 } = this.channel;
    const api: ComputeWorker = {
      run: (_, input) => this.answer(input as { readonly turns: number }),
    };
    expose(api, port2 as unknown as MessagePort);
    const near = port1 as unknown as MessagePort;
    this.postMessage = near.postMessage.bind(near) as MessagePort["postMessage"];
    this.addEventListener = near.addEventListener.bind(near) as MessagePort["addEventListener"];
    this.removeEventListener = near.removeEventListener.bind(near) as MessagePort["removeEventListener"];
    near.start();
  }

  private async answer({ turns }: { readonly turns: number }): Promise<Answer<unknown>> {
    if (turns < 0) return new Promise(() => {});
    for (let i = 0; i < turns; i++) await new Promise((next) => setImmediate(next));
    return { kind: "ok", value: this.number };
  }

  terminate(): void {
    FakeWorker.ended.push(this.number);
    this.channel.port1.close();
    this.channel.port2.close();
  }
}

const poolOf = (numSearchers: number) => {
  FakeWorker.started = 0;
  FakeWorker.ended = [];
  return new WorkerPool(() => new FakeWorker() as unknown as Worker, numSearchers);
};
const answered = (answer: Answer<unknown>) => (answer.kind === "ok" ? answer.value : answer.kind);

test("what a person waits for never waits for a search", async () => {
  const pool = poolOf(1);
  const stuck = new AbortController();
  const search = pool.run("predict", { turns: -1 }, { lane: "search", signal: stuck.signal }).catch(() => "given up");
  expect(answered(await pool.run("predict", { turns: 0 }, { lane: "person" }))).toBe(1);
  stuck.abort();
  expect(await search).toBe("given up");
  pool.end();
});

test("searches share their workers, and the rest wait for the first that is free", async () => {
  const pool = poolOf(2);
  const all = await Promise.all([3, 1, 1].map((turns) => pool.run("predict", { turns }, { lane: "search" })));
  const used = new Set(all.map(answered));
  expect(used.size).toBe(2);
  expect(used.has(1)).toBe(false);
  pool.end();
});

test("a worker that works on what nobody wants any more is ended, and its successor takes what waits", async () => {
  const pool = poolOf(1);
  const stuck = new AbortController();
  const given = pool.run("predict", { turns: -1 }, { lane: "search", signal: stuck.signal }).catch(() => "given up");
  const next = pool.run("predict", { turns: 0 }, { lane: "search" });
  stuck.abort();
  expect(await given).toBe("given up");
  expect(answered(await next)).toBe(3);
  expect(FakeWorker.ended).toEqual([2]);
  pool.end();
});

test("what is given up before it begins costs no worker", async () => {
  const pool = poolOf(1);
  const first = pool.run("predict", { turns: 2 }, { lane: "search" });
  const waiting = new AbortController();
  const second = pool.run("predict", { turns: 0 }, { lane: "search", signal: waiting.signal }).catch(() => "given up");
  waiting.abort();
  expect([answered(await first), await second]).toEqual([2, "given up"]);
  expect(FakeWorker.ended).toEqual([]);
  pool.end();
});
