// One thread of a search: answers the tasks it is given (threads.ts).

import { parentPort, workerData } from "node:worker_threads";
import { type CoreTask, objectiveOf, planJob, taskRunner } from "@meshwright/core/plan";
import type { WorkerData } from "./threads.ts";

const { job, request, numProven, stop } = workerData as WorkerData;
const space = planJob(job, request);
const run = taskRunner(space, objectiveOf(request.objective, space), numProven);
const stopped = () => Atomics.load(stop, 0) === 1;

parentPort?.on("message", (task: CoreTask) => parentPort?.postMessage(run(task, stopped)));
