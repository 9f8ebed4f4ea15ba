// One thread of a search: takes cores of the round it is given until none is left (threads.ts).

import { parentPort, workerData } from "node:worker_threads";
import { objectiveOf, planJob, taskRunner } from "@meshwright/core/plan";
import type { RoundMessage, WorkerData } from "./threads.ts";

const { job, request, numProven, stop } = workerData as WorkerData;
const space = planJob(job, request);
const run = taskRunner(space, objectiveOf(request.objective, space), numProven);
const stopped = () => Atomics.load(stop, 0) === 1;

parentPort?.on("message", ({ tasks, next }: RoundMessage) => {
  for (let index = Atomics.add(next, 0, 1); index < tasks.length; index = Atomics.add(next, 0, 1))
    parentPort?.postMessage({ index, answer: run(tasks[index]!, stopped) });
});
