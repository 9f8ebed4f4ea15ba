// How ranks of a run find each other: all connect to rank 0, say who they are and where they listen, and get the table of all; then each connects to the ranks
// below it. Every connection starts with one line of JSON each way, so a stranger, a rank of another run or a rank given twice is refused in words.

import { connect, createServer, isIPv4, isIPv6, type Server, type Socket } from "node:net";

export interface RendezvousOptions {
  readonly rank: number;
  readonly numRanks: number;
  /** Where rank 0 listens, as the others reach it. */
  readonly host: string;
  readonly port: number;
  /** Equal on all ranks of a run. */
  readonly job: string;
  readonly timeoutMs: number;
  /** What must be equal on all ranks, by name; rank 0 compares. */
  readonly facts?: Readonly<Record<string, string>>;
  /** Where hosts have equal shares of the ranks: so that messages can name hosts. */
  readonly ranksPerHost?: number;
}

/** How long rank 0 goes on saying why it ends, to those who come late. */
const lastWordsMs = 1000;
/** For a line of rank 0 to arrive. */
const patienceMs = 1000;

const protocol = "meshwright-ranks/1";

interface Hello {
  readonly protocol: string;
  readonly job: string;
  readonly rank: number;
  readonly numRanks: number;
  /** Where this rank listens; 0 on connections between other ranks than 0. */
  readonly port: number;
  /** To rank 0 alone. */
  readonly facts?: Readonly<Record<string, string>>;
}

interface Address {
  /** Empty: the host of rank 0, by whatever name one reaches it. */
  readonly host: string;
  readonly port: number;
}

/** @returns a connected socket for each other rank (this rank's entry is null), paused, with nothing but chunks to come. */
export async function rendezvous(options: RendezvousOptions): Promise<(Socket | null)[]> {
  const { rank, numRanks, host } = options;
  const sockets: (Socket | null)[] = Array.from({ length: numRanks }, () => null);
  if (numRanks === 1) return sockets;
  const deadline = Date.now() + options.timeoutMs;
  const listenHost = isLoopback(host) ? host : undefined;
  // Rank 0's callers are everybody, another rank's those above it.
  const expected = numRanks - 1 - rank;
  const ports: number[] = [];
  const server = createServer({ pauseOnConnect: false });
  // A rank that came early hears of the others only when rank 0, which may have come at the last moment, has waited its own time.
  const callersDeadline = rank === 0 ? deadline : deadline + options.timeoutMs;
  const callers = acceptAll(server, options, expected, callersDeadline, (hello, socket) => {
    sockets[hello.rank] = socket;
    ports[hello.rank] = hello.port;
  });
  const ownPort = await listen(server, rank === 0 ? options.port : 0, listenHost);
  try {
    if (rank === 0) {
      await callers;
      const table: Address[] = sockets.map((socket, r) => ({
        host: socket === null ? "" : reachable(socket),
        port: ports[r] ?? 0,
      }));
      for (const socket of sockets) if (socket !== null) writeLine(socket, { table });
      return sockets;
    }
    const first = await connectUntil({ host, port: options.port }, deadline);
    sockets[0] = first;
    const answer = await ask(
      first,
      { ...helloOf(options), port: ownPort, facts: options.facts ?? {} },
      `rank 0 at ${host}:${options.port}`,
      Date.now() + options.timeoutMs + lastWordsMs + patienceMs,
    );
    const table = (answer as { readonly table: readonly Address[] }).table;
    for (let peer = 1; peer < rank; peer++) {
      const address = table[peer]!;
      const to = { host: address.host === "" ? host : address.host, port: address.port };
      const soon = Date.now() + options.timeoutMs;
      const socket = await connectUntil(to, soon);
      sockets[peer] = socket;
      await ask(socket, { ...helloOf(options), port: 0 }, `rank ${peer} at ${to.host}:${to.port}`, soon);
    }
    await callers;
    return sockets;
  } catch (error) {
    // Whoever has come learns from rank 0 why it was in vain.
    const failed = error instanceof Error ? error.message : String(error);
    for (const socket of sockets) {
      if (rank === 0 && socket !== null) socket.end(`${JSON.stringify({ failed })}\n`);
      else socket?.destroy();
    }
    if (rank === 0) await new Promise((resolve) => setTimeout(resolve, lastWordsMs));
    throw error;
  } finally {
    server.close();
  }
}

function helloOf({ rank, numRanks, job }: RendezvousOptions): Omit<Hello, "port"> {
  return { protocol, job, rank, numRanks };
}

/** Takes in `expected` ranks above this one; resolves when all are here. */
function acceptAll(
  server: Server,
  options: RendezvousOptions,
  expected: number,
  deadline: number,
  accept: (hello: Hello, socket: Socket) => void,
): Promise<void> {
  const here = new Set<number>();
  let failed: string | null = null;
  const promise = new Promise<void>((resolve, reject) => {
    if (expected === 0) {
      resolve();
      return;
    }
    const timer = setTimeout(() => {
      const missing = Array.from({ length: options.numRanks }, (_, r) => r).filter(
        (r) => r > options.rank && !here.has(r),
      );
      const missingText = missing.length > 8 ? `${missing.slice(0, 8).join(", ")}, ...` : missing.join(", ");
      const { ranksPerHost } = options;
      const hostsText =
        ranksPerHost === undefined
          ? ""
          : `, of host ${[...new Set(missing.map((r) => Math.floor(r / ranksPerHost)))].slice(0, 8).join(", ")}`;
      reject(
        new Error(
          `Rank ${options.rank} waited ${options.timeoutMs / 1000} s for ranks to connect; missing: ${missingText}${hostsText}`,
        ),
      );
    }, deadline - Date.now());
    server.on("connection", (socket) => {
      readLine(socket, deadline).then(
        (line) => {
          const hello = line as Hello;
          const difference = differenceFrom(hello, options);
          if (difference !== null && failed === null) {
            const where = reachable(socket);
            failed = `Rank ${hello.rank}${where === "" ? "" : ` at ${where}`} was given another job than rank 0: ${difference}`;
            clearTimeout(timer);
            reject(new Error(failed));
          }
          // Those that come while this rank says its last words hear them too.
          if (failed !== null) {
            socket.end(`${JSON.stringify({ failed })}\n`);
            return;
          }
          const refused = refusal(hello, options, here);
          if (refused !== null) {
            socket.end(`${JSON.stringify({ refused })}\n`);
            return;
          }
          here.add(hello.rank);
          accept(hello, socket);
          // Rank 0 answers with the table when everybody is there.
          if (options.rank > 0) writeLine(socket, { ok: true });
          if (here.size === expected) {
            clearTimeout(timer);
            resolve();
          }
        },
        () => socket.destroy(),
      );
    });
  });
  // A failed connection elsewhere may end the rendezvous before anybody awaits this.
  promise.catch(() => {});
  return promise;
}

function refusal(hello: Hello, options: RendezvousOptions, here: ReadonlySet<number>): string | null {
  if (typeof hello !== "object" || hello === null || hello.protocol !== protocol) return "it speaks another protocol";
  if (hello.job !== options.job) return "it belongs to another run";
  // Where facts are compared, they say it better.
  if (hello.numRanks !== options.numRanks && options.facts === undefined)
    return `it counts ${hello.numRanks} ranks, this run has ${options.numRanks}`;
  if (!Number.isInteger(hello.rank) || hello.rank <= options.rank || hello.rank >= options.numRanks)
    return `no rank ${hello.rank} is expected here`;
  if (here.has(hello.rank)) return `rank ${hello.rank} is already connected from elsewhere`;
  return null;
}

/** What differs between what another rank of this run and rank 0 were given, in words; null: nothing. */
function differenceFrom(hello: Hello, { rank, job, facts: own }: RendezvousOptions): string | null {
  if (rank > 0 || own === undefined || hello?.protocol !== protocol || hello.job !== job) return null;
  const theirs = hello.facts ?? {};
  const names = [...new Set([...Object.keys(own), ...Object.keys(theirs)])].filter(
    (name) => own[name] !== theirs[name],
  );
  if (names.length === 0) return null;
  const given = (value: string | undefined) => value ?? "not given";
  const shown = names.slice(0, 3).map((name) => `${name} is ${given(theirs[name])} instead of ${given(own[name])}`);
  return `${shown.join("; ")}${names.length > shown.length ? `; and ${names.length - shown.length} more` : ""}`;
}

function listen(server: Server, port: number, host: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new Error(`Port ${port} of rank 0 is in use: choose another one`) : error),
    );
    server.listen({ port, host }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/** Tries again until the other side listens. */
async function connectUntil(to: { readonly host: string; readonly port: number }, deadline: number): Promise<Socket> {
  const startMs = Date.now();
  for (;;) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(to);
        socket.once("connect", () => {
          socket.off("error", reject);
          resolve(socket);
        });
        socket.once("error", reject);
        socket.setTimeout(Math.max(1, deadline - Date.now()), () => socket.destroy(new Error("no answer")));
      }).then((socket) => socket.setTimeout(0));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const isLasting = code === "ENOTFOUND" || code === "EACCES";
      if (isLasting || Date.now() > deadline)
        throw new Error(
          `Cannot connect to ${to.host}:${to.port}${isLasting ? "" : `, tried for ${waitedSec(startMs)} s`}: ${message}`,
          { cause: error },
        );
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function waitedSec(startMs: number): string {
  return ((Date.now() - startMs) / 1000).toFixed(0);
}

async function ask(socket: Socket, hello: Hello, whom: string, deadline: number): Promise<unknown> {
  writeLine(socket, hello);
  const answer = await readLine(socket, deadline).catch((error: Error) => {
    throw new Error(`No answer from ${whom}: ${error.message}`, { cause: error });
  });
  const { refused, failed } = answer as { readonly refused?: string; readonly failed?: string };
  if (failed !== undefined) throw new Error(failed);
  if (refused !== undefined) throw new Error(`Rank ${hello.rank} was refused by ${whom}: ${refused}`);
  return answer;
}

function writeLine(socket: Socket, value: unknown): void {
  socket.write(`${JSON.stringify(value)}\n`);
}

/** Reads one line and leaves the rest on the socket, paused. */
function readLine(socket: Socket, deadline: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let text = Buffer.alloc(0);
    const timer = setTimeout(() => finish(new Error("timed out")), Math.max(0, deadline - Date.now()));
    const onData = (data: Buffer) => {
      text = Buffer.concat([text, data]);
      const end = text.indexOf(10);
      if (end < 0) {
        if (text.byteLength > 2 ** 20) finish(new Error("too long a line"));
        return;
      }
      socket.pause();
      const rest = text.subarray(end + 1);
      finish(null);
      if (rest.byteLength > 0) socket.unshift(rest);
      try {
        resolve(JSON.parse(text.subarray(0, end).toString("utf8")));
      } catch {
        reject(new Error("not a line of JSON"));
      }
    };
    const onClose = () => finish(new Error("the connection closed"));
    const finish = (error: Error | null) => {
      clearTimeout(timer);
      socket.off("data", onData);
      socket.off("close", onClose);
      socket.off("error", onError);
      if (error !== null) reject(error);
    };
    const onError = (error: Error) => finish(error);
    socket.on("data", onData);
    socket.on("close", onClose);
    socket.on("error", onError);
  });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

function reachable(socket: Socket): string {
  const address = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  if (isIPv6(address) && address.startsWith("fe80:")) return "";
  return isLoopback(address) ? "" : address;
}
