// `meshwright run` over several hosts, one command on each: which of them this is. Options are named as torchrun's.

import { type Finding, InputError } from "@meshwright/core/units";
import { type HostPlace, hostsConnectMs, ranksOfHost } from "@meshwright/run";
import type { Command } from "commander";
import type { Io } from "../io.ts";

const defaultPort = 29500;

export function addHostOptions(command: Command): void {
  command
    .option("--nnodes <n>", "tcp over so many hosts, each with this command and its own --node-rank")
    .option("--node-rank <n>", "which of the hosts this is, from 0 on; host 0 has rank 0 and shows the run")
    .option("--master-addr <host>", "name or address of host 0, as all hosts reach it")
    .option("--master-port <port>", `port of host 0 where the others meet it (default: ${defaultPort})`);
}

/** The place of this host, or undefined where all ranks are on this machine. */
export function readHosts(options: Record<string, unknown>): HostPlace | undefined {
  const text = (name: string) => options[name] as string | undefined;
  const parts = [
    ["nodeRank", "--node-rank"],
    ["masterAddr", "--master-addr"],
    ["masterPort", "--master-port"],
  ] as const;
  const findings: Finding[] = [];
  if (text("nnodes") === undefined) {
    for (const [name, flag] of parts)
      if (text(name) !== undefined)
        findings.push({ path: flag, message: "Has no meaning without --nnodes", hint: "say how many hosts there are" });
    if (findings.length > 0) throw new InputError(findings);
    return undefined;
  }
  const whole = (name: string, flag: string, limits: { readonly min: number; readonly max: number }): number => {
    const value = Number(text(name) ?? Number.NaN);
    if (!Number.isInteger(value) || value < limits.min || value > limits.max)
      findings.push({
        path: flag,
        message:
          text(name) === undefined
            ? "Is missing: each host says which it is"
            : `Expected a whole number from ${limits.min} to ${limits.max}, got "${text(name)}"`,
      });
    return value;
  };
  const numHosts = whole("nnodes", "--nnodes", { min: 1, max: 4096 });
  const host = whole("nodeRank", "--node-rank", { min: 0, max: (Number.isInteger(numHosts) ? numHosts : 4096) - 1 });
  const port =
    text("masterPort") === undefined ? defaultPort : whole("masterPort", "--master-port", { min: 1, max: 65535 });
  const address = text("masterAddr");
  if (address === undefined)
    findings.push({ path: "--master-addr", message: "Is missing: hosts meet at host 0", hint: "name host 0" });
  if (options["transport"] !== undefined && options["transport"] !== "tcp")
    findings.push({
      path: "--nnodes",
      message: `Hosts meet over tcp, and the transport is ${String(options["transport"])}`,
      hint: options["transport"] === "mpi" ? "mpirun starts the ranks of all hosts itself" : "leave --transport out",
    });
  if (options["restarts"] !== undefined && options["restarts"] !== "0")
    findings.push({
      path: "--restarts",
      message: "A run over several hosts is not started again by itself",
      hint: "start it again with --resume on every host",
    });
  if (findings.length > 0 || address === undefined) throw new InputError(findings);
  return { numHosts, host, address, port };
}

/** Host 0 speaks for all; the others say once that they take part. */
export function ioOfHost(io: Io, { host, numHosts, address, port }: HostPlace): Io {
  if (host === 0) return io;
  io.err(io.paint.dim(`host ${host} of ${numHosts}: takes part; host 0 (${address}:${port}) shows the run`));
  return { ...io, out: () => {}, progress: () => {}, progressDone: () => {} };
}

/** Said on host 0 before ranks start. */
export function waitingText(numRanks: number, hosts: HostPlace, timeoutMs: number | undefined): string {
  const { numHosts, address, port } = hosts;
  const { count } = ranksOfHost(numRanks, hosts);
  const others = numHosts - 1;
  return `${count} of ${numRanks} ranks run here; waits up to ${(timeoutMs ?? hostsConnectMs) / 1000} s for ${others} more ${others === 1 ? "host" : "hosts"} at ${address}:${port}`;
}
