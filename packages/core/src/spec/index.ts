// The spec room: a user's description of a job in, a checked and complete one out.

export { type ClosedSpec, checkStrategy } from "./checkStrategy.ts";
export {
  describeType,
  type Field,
  type FieldTable,
  softwareFields,
  strategyFields,
  topFields,
  workloadFields,
} from "./fields.ts";
export { type ModelContext, modelFromSource } from "./modelSource.ts";
export { planFields } from "./planFields.ts";
export { type JobSpec, resolveJob } from "./resolveJob.ts";
export { resolveSpec } from "./resolveSpec.ts";
export type { ResolvedSpec, SpecSources } from "./types.ts";
