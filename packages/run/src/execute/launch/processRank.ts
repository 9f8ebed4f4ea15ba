// The process of one rank that talks over TCP: runs what its parent tells it (processes.ts), then ends with its parent's channel.

import { InputError } from "@meshwright/core/units";
import { communicators } from "../collectives/communicator.ts";
import { connectTcp } from "../transport/tcp/tcpTransport.ts";
import type { ProcessMessage } from "./processes.ts";
import { runOwnRank } from "./runToEnd.ts";
import type { ThreadMessage } from "./threadProtocol.ts";

/** Resolves when the message has left, so that the process may end. */
function send(message: ThreadMessage): Promise<void> {
  return new Promise((done) => {
    if (process.send === undefined) done();
    else process.send(message, () => done());
  });
}

process.once("message", async (message: ProcessMessage) => {
  const { job, rank, numRanks, host, port, runName, facts, ranksPerHost, connectTimeoutMs, timeoutMs, algorithms } =
    message;
  try {
    const transport = await connectTcp({
      rank,
      numRanks,
      host,
      port,
      job: runName,
      facts,
      ...(ranksPerHost < numRanks ? { ranksPerHost } : {}),
      connectTimeoutMs,
      options: timeoutMs === undefined ? {} : { timeoutMs },
    });
    const groups = communicators(transport, algorithms === undefined ? {} : { algorithms });
    const said = runOwnRank(job, { transport, groups, emit: (event) => void send({ kind: "event", event }) });
    await send(said);
  } catch (error) {
    // Ranks that do not find each other.
    const text =
      error instanceof InputError ? error.findings[0]!.message : error instanceof Error ? error.message : String(error);
    await send({ kind: "failed", text, isEcho: false, isLost: false, isUnmet: true, stack: "" });
  }
});
process.once("disconnect", () => process.exit(0));
