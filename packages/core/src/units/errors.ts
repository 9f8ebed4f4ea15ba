// The two ways a call can fail loudly. Wrong user input is an InputError that carries every finding at once
// (path, value, rule, next step); a broken promise inside the library is an assertion.

/** One thing wrong with the input. */
export interface Finding {
  /** Where: a path into the input, such as `strategy.tp` or `model.num_attention_heads`. */
  readonly path: string;
  /** Sentence case, active voice, values quoted, no final period. */
  readonly message: string;
  /** What to do next, such as `use pp=2 or pp=4` or `did you mean "h100-sxm"`. */
  readonly hint?: string;
}

/** The user's input is wrong. Faces print the findings and exit with code 2. */
export class InputError extends Error {
  readonly findings: readonly Finding[];
  constructor(findings: readonly Finding[] | Finding) {
    const list = Array.isArray(findings) ? (findings as readonly Finding[]) : [findings as Finding];
    super(list.map(formatFinding).join("\n"));
    this.name = "InputError";
    this.findings = list;
  }
}

export function formatFinding(finding: Finding): string {
  const at = finding.path === "" ? "" : `${finding.path}: `;
  return `${at}${finding.message}${finding.hint === undefined ? "" : ` (${finding.hint})`}`;
}

/** What a step gives; undefined when it throws an InputError, whose findings then join those of the whole. */
export function collectFindings<T>(findings: Finding[], step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    findings.push(...error.findings);
    return undefined;
  }
}

/** Our own promise: throws with the values when it does not hold. Never used for user input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Meshwright bug: ${message}`);
}

/** Closes a switch over a discriminated union. */
export function unreachable(value: never): never {
  throw new Error(`Meshwright bug: unexpected variant ${JSON.stringify(value)}`);
}

/** The candidate nearest to `name` by edit distance, when near enough to be a likely typing error. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const wanted = normalise(name);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normalise(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  // At least one letter of a short name must be right.
  return bestDistance < wanted.length && bestDistance <= Math.max(2, Math.floor(wanted.length * 0.4))
    ? best
    : undefined;
}

function normalise(name: string): string {
  return name.toLowerCase().replace(/[-_. ]/g, "");
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitute, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
