// A rank of a contract test in its own process: takes tasks over IPC, each with connections of its own.

import { existsSync, statSync } from "node:fs";
import type { TransportOptions } from "../contract.ts";
import { type RankTask, runTask } from "../rankTask.fixture.ts";
import { connectTcp } from "./tcpTransport.ts";

/** The built I/O thread where it is as new as its sources: starting it from sources takes a quarter of a second of compiling each time. */
function ioThread(): URL {
  const built = new URL("../../../../dist/execute/transport/tcp/ioThread.js", import.meta.url);
  const parts = ["tcp/ioThread", "tcp/tcpBlock", "tcp/rendezvous", "doorbell", "byteRing"];
  const isFresh = parts.every((part) => {
    const compiled = new URL(`../../../../dist/execute/transport/${part}.js`, import.meta.url);
    return (
      existsSync(compiled) && statSync(compiled).mtimeMs >= statSync(new URL(`../${part}.ts`, import.meta.url)).mtimeMs
    );
  });
  return isFresh ? built : new URL("./ioThread.fixture.mjs", import.meta.url);
}

export interface TcpTask {
  readonly rank: number;
  readonly numRanks: number;
  readonly port: number;
  readonly job: string;
  readonly task: RankTask;
  readonly options: Partial<TransportOptions>;
}

process.on("message", ({ rank, numRanks, port, job, task, options }: TcpTask) => {
  connectTcp({ rank, numRanks, host: "127.0.0.1", port, job, options, ioThread: ioThread(), connectTimeoutMs: 20_000 })
    .then((transport) => process.send!({ report: runTask(transport, task, null) }))
    .catch((error: Error) => process.send!({ failure: String(error.stack) }));
});
process.send!({ ready: true });
