// The contract of transports and collectives as tests, for any way of running ranks.

import { expect, it } from "vitest";
import type { ScenarioPlan, ScenarioResult } from "../collectives/scenario.fixture.ts";
import type { TransportOptions } from "./contract.ts";
import type { Behaviour, BehaviourReport } from "./faults.fixture.ts";
import type { RankReport, RankTask } from "./rankTask.fixture.ts";

export interface RankRunner {
  run(numRanks: number, task: RankTask, options: Partial<TransportOptions>): Promise<(RankReport | null)[]>;
  /** Ranks of the collective tests. */
  readonly numRanks: number;
  /** Groups of several sizes, powers of two and not, some at the same time, one in another order than ranks. */
  readonly groups: readonly (readonly number[])[];
  readonly lengths: readonly number[];
  readonly extra: readonly ("direct" | "native")[];
  /** What ends the others when a rank dies: their own transport, or what started them. */
  readonly dies: "noticed" | "withLauncher";
}

const quick: Partial<TransportOptions> = { timeoutMs: 20_000, compareAfterMs: 50 };

export function transportContract(runner: RankRunner): void {
  const outcomes = async (
    name: Behaviour,
    options: Partial<TransportOptions> = quick,
  ): Promise<(BehaviourReport | null)[]> => {
    const reports = await runner.run(3, { kind: "behaviour", name }, options);
    return reports.map((each) => (each?.kind === "behaviour" ? each.report : null));
  };
  /** All ranks fail in this way, with this text. */
  const expectAll = (reports: readonly (BehaviourReport | null)[], kind: string, pattern: RegExp) => {
    for (const report of reports) {
      expect(report?.error?.kind).toBe(kind);
      expect(report?.error?.message).toMatch(pattern);
    }
  };

  it("all collectives with all algorithms equal plain sums and send what the closed forms say", async () => {
    const plan = { groups: runner.groups, lengths: runner.lengths, extra: runner.extra };
    const run = (part: ScenarioPlan) => runner.run(runner.numRanks, { kind: "scenario", plan: part }, {});
    const reports = await run(plan);
    const results = (each: RankReport | null): ScenarioResult[] =>
      each?.kind === "scenario" ? [each.private, ...(each.shared === null ? [] : [each.shared])] : [];
    expect(reports.flatMap((each) => results(each).flatMap(({ problems }) => problems))).toEqual([]);
    expect(results(reports[0]!)[0]!.numChecks).toBeGreaterThan(50);
    // All ranks of a group hold the same bits, and a second run gives the same.
    const bits: Record<string, number> = {};
    const again = await run({ ...plan, groups: plan.groups.slice(-1) });
    for (const result of [...reports, ...again].flatMap(results)) {
      for (const [name, hash] of Object.entries(result.bits)) {
        bits[name] ??= hash;
        expect([name, hash]).toEqual([name, bits[name]]);
      }
    }
  });

  it("messages arrive as sent, whatever their size and the order of taking them", async () => {
    expect((await outcomes("messages")).map((each) => each?.value)).toEqual(["as sent", "as sent", ""]);
  });

  it("names both kinds on all ranks when ranks enter different collectives", async () => {
    const pattern =
      /Ranks \d and \d .*rank . all-(reduce|gather).*"gradients".*rank . all-(reduce|gather).*"gradients"/;
    const reports = await outcomes("kindsDiffer");
    expectAll(reports, "mismatch", pattern);
    expect(reports[0]!.error!.message).toMatch(/all-reduce sum of 16 bytes/);
    expect(reports[0]!.error!.message).toMatch(/all-gather of 48 bytes/);
  });

  it("names both sizes when they differ", async () => {
    expectAll(
      await outcomes("sizesDiffer"),
      "mismatch",
      /all-reduce sum of (16|20) bytes.*all-reduce sum of (20|16) bytes/,
    );
  });

  it("names both labels when only the order differs", async () => {
    expectAll(
      await outcomes("ordersDiffer"),
      "mismatch",
      /call 0 of group.*for "(weights|biases)".*for "(weights|biases)"/,
    );
  });

  it("finds ranks that wait for different roots although no message travels", async () => {
    expectAll(await outcomes("rootsDiffer"), "mismatch", /broadcast from member \d.*broadcast from member \d/);
  });

  it("refuses a message of another length", async () => {
    expectAll(await outcomes("lengthsDiffer"), "mismatch", /Rank 0 sent 10 bytes where rank 1 expects 12/);
  });

  it("ends a wait for a rank that hangs at the deadline and names rank, op and collective", async () => {
    const reports = await outcomes("hangs", { timeoutMs: 600, compareAfterMs: 50 });
    expectAll(
      reports,
      "timeout",
      /Rank [01] waited 600 ms for rank [012] in \w+ of all-reduce sum of 16 bytes, call 0 of group \[0, 1, 2\]/,
    );
  });

  it.skipIf(runner.dies === "withLauncher")("ends all waits when a rank dies", async () => {
    const reports = await outcomes("dies");
    expect(reports[1]).toBeNull();
    expectAll([reports[0]!, reports[2]!], "peerDied", /Rank 1 died .* of all-reduce sum of 16 bytes for "loss"/);
  });

  it("ends a wait for a rank that has finished", async () => {
    const reports = await outcomes("leaves");
    expect(reports[1]!.error).toBeNull();
    expectAll([reports[0]!, reports[2]!], "peerDied", /Rank 1 has finished while rank [02] waited/);
  });

  it("an abort reaches all ranks with its reason", async () => {
    const reports = await outcomes("aborts");
    expectAll(reports.slice(1), "aborted", /Rank 0 gave up: the loss is not finite/);
  });
}
