// The spec room: a user's description of a job in, a checked and complete one out.

export type { ResolvedSpec, SpecSources } from "./types.ts";
