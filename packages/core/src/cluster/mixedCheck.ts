// What must hold before groups become a mixed cluster: distinct names, one kind of fabric inside an island, a link between every two islands.

import { type Finding, InputError } from "../units/errors.ts";
import { fabricOf } from "./assemble.ts";
import { assembleMixed, linkBetween, type MixedFacts } from "./mixed.ts";
import type { ClusterSpec } from "./types.ts";

/** The cluster, or InputError with every finding. */
export function checkedMixed(mixed: MixedFacts, path: string): ClusterSpec {
  const findings = mixedFindings(mixed, path);
  if (findings.length > 0) throw new InputError(findings);
  return assembleMixed(mixed);
}

export function mixedFindings({ groups, links }: MixedFacts, path: string): Finding[] {
  const findings: Finding[] = [];
  groups.forEach(({ name }, i) => {
    if (groups.findIndex((group) => group.name === name) < i)
      findings.push({
        path: `${path}.groups[${i}].name`,
        message: `Two groups are called "${name}"`,
        hint: "rename one",
      });
  });
  const islands = [...new Set(groups.map((group) => group.island))];
  for (const island of islands) {
    const [first, ...rest] = groups.filter((group) => group.island === island);
    const kind = fabricOf(first!.facts).link; // an island is named by at least one group
    const other = rest.find((group) => fabricOf(group.facts).link !== kind);
    if (other !== undefined)
      findings.push({
        path: `${path}.groups`,
        message: `Groups "${first!.name}" (${kind}) and "${other.name}" (${fabricOf(other.facts).link}) have no fabric in common, but share island "${island}"`,
        hint: "give one of them another island, and links between the two",
      });
  }
  islands.forEach((a, i) => {
    for (const b of islands.slice(i + 1))
      if (linkBetween(links, a, b) === undefined)
        findings.push({
          path: `${path}.links`,
          message: `No link joins islands "${a}" and "${b}"`,
          hint: `add {between: [${a}, ${b}], type: ethernet, nics: {count: 1, speed: 25Gb/s}}`,
        });
  });
  return findings;
}

/** `a100-80g`, `a100-80g-2`... */
export function uniqueNames(names: readonly string[]): string[] {
  return names.map((name, i) => {
    const before = names.slice(0, i).filter((other) => other === name).length;
    return before === 0 ? name : `${name}-${before + 1}`;
  });
}
