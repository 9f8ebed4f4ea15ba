// One task of a rank in a contract test, the same for threads, processes and MPI ranks.

import { runScenario, type ScenarioPlan, type ScenarioResult } from "../collectives/scenario.fixture.ts";
import { type Transport, TransportError } from "./contract.ts";
import { type Behaviour, type BehaviourReport, behaviours } from "./faults.fixture.ts";

export type RankTask =
  | { readonly kind: "scenario"; readonly plan: ScenarioPlan }
  | { readonly kind: "behaviour"; readonly name: Behaviour };

export type RankReport =
  | { readonly kind: "scenario"; readonly private: ScenarioResult; readonly shared: ScenarioResult | null }
  | { readonly kind: "behaviour"; readonly report: BehaviourReport };

/** @param allocateShared allocates in memory that ranks share, where there is such. */
export function runTask(
  transport: Transport,
  task: RankTask,
  allocateShared: ((numElements: number) => Float32Array) | null,
): RankReport {
  if (task.kind === "scenario") {
    const own = runScenario(transport, task.plan, (n) => new Float32Array(n), "private memory");
    const shared = allocateShared === null ? null : runScenario(transport, task.plan, allocateShared, "shared memory");
    transport.close();
    return { kind: "scenario", private: own, shared };
  }
  try {
    const value = behaviours[task.name](transport) ?? null;
    transport.close();
    return { kind: "behaviour", report: { value, error: null } };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    const { kind, peer, op, message } = error;
    transport.close();
    return { kind: "behaviour", report: { value: null, error: { kind, peer, op, message } } };
  }
}
