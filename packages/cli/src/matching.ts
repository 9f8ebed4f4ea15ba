// The filter of the listing commands.

import { InputError, nearestName } from "@meshwright/core/units";

/** Entries with a name that contains the filter, ignoring case and separators; all without a filter; an error with the nearest name for none. */
export function matching<T>(
  all: readonly T[],
  filter: string | undefined,
  namesOf: (entry: T) => readonly string[],
): readonly T[] {
  if (filter === undefined) return all;
  const plain = (text: string) => text.toLowerCase().replace(/[-_ ]/g, "");
  const found = all.filter((entry) => namesOf(entry).some((name) => plain(name).includes(plain(filter))));
  if (found.length > 0) return found;
  const near = nearestName(filter, all.flatMap(namesOf));
  throw new InputError({
    path: "",
    message: `Nothing matches "${filter}"`,
    hint: near === undefined ? "leave the filter out to list all" : `did you mean "${near}"`,
  });
}
