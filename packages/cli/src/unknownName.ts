// What the command line says of a name that is none of those it knows.

import { type Finding, nearestName } from "@meshwright/core/units";

/** A finding with the nearest name, or all of them. */
export function unknownName(path: string, message: string, name: string, known: readonly string[]): Finding {
  const near = nearestName(name, known);
  return { path, message, hint: near === undefined ? `use one of ${known.join(", ")}` : `did you mean "${near}"` };
}
