// Finds ranks that are in different collectives. The fast path costs nothing: the tag of a collective's messages is a fingerprint of the call, so what a
// rank in another collective sends is never taken for what was expected. A rank that has waited for a while sends its call to the others of its group, and
// each compares it with its own call of that number in that group: if they differ, all ranks learn of both in words.

/** One collective call as a rank sees it; equal on all ranks of the group when the program is right. */
export interface CollectiveCall {
  /** Ranks in group order. */
  readonly group: readonly number[];
  /** How many calls this group has had before. */
  readonly sequence: number;
  /** For example "all-reduce sum (ring)". */
  readonly what: string;
  /** -1 where ranks may have different sizes. */
  readonly sizeBytes: number;
  /** What it is for, in the caller's words; may be empty. */
  readonly label: string;
}

/** Calls remembered for each group. */
const historyLength = 64;

export class CollectiveWatch {
  current: CollectiveCall | null = null;
  private readonly history = new Map<string, CollectiveCall[]>();

  enter(call: CollectiveCall | null): void {
    this.current = call;
    if (call === null) return;
    const key = call.group.join();
    let calls = this.history.get(key);
    if (calls === undefined) {
      calls = [];
      this.history.set(key, calls);
    }
    calls[call.sequence % historyLength] = call;
  }

  /**
   * @param met the peer has seen that this rank's call is another one, whatever its group and number.
   * @returns what differs, in words, or null when the calls agree or this rank has not come that far.
   */
  compare(rank: number, peer: number, theirs: CollectiveCall, met: boolean): string | null {
    const ours = this.history.get(theirs.group.join())?.[theirs.sequence % historyLength];
    if (ours === undefined || ours.sequence !== theirs.sequence) {
      if (!met || this.current === null) return null;
      return `Ranks ${peer} and ${rank} met in different collectives: rank ${peer} in ${describeCall(theirs)}, rank ${rank} in ${describeCall(this.current)}`;
    }
    if (ours.what === theirs.what && ours.sizeBytes === theirs.sizeBytes && ours.label === theirs.label) return null;
    const [first, second] = rank < peer ? [rank, peer] : [peer, rank];
    const [a, b] = rank < peer ? [ours, theirs] : [theirs, ours];
    return (
      `Ranks ${first} and ${second} entered different collectives as call ${ours.sequence} of group ${groupText(ours.group)}: ` +
      `rank ${first} ${brief(a)}, rank ${second} ${brief(b)}`
    );
  }
}

export function describeCall(call: CollectiveCall): string {
  return `${brief(call)}, call ${call.sequence} of group ${groupText(call.group)}`;
}

function brief(call: CollectiveCall): string {
  const size = call.sizeBytes < 0 ? "" : ` of ${call.sizeBytes} bytes`;
  return `${call.what}${size}${call.label === "" ? "" : ` for "${call.label}"`}`;
}

function groupText(group: readonly number[]): string {
  return group.length <= 8 ? `[${group.join(", ")}]` : `[${group.slice(0, 7).join(", ")}, ... ${group.length} ranks]`;
}

/** A hash of the call (FNV-1a over its text and numbers) with 30 bits; equal on all ranks of a right program. */
export function fingerprintOf(call: CollectiveCall): number {
  let hash = 0x811c9dc5;
  const mix = (value: number) => {
    hash = Math.imul(hash ^ (value & 0xff), 0x01000193);
    hash = Math.imul(hash ^ ((value >>> 8) & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (value >>> 16), 0x01000193);
  };
  for (const rank of call.group) mix(rank);
  mix(call.group.length);
  mix(call.sequence);
  mix(call.sizeBytes | 0);
  mix(Math.floor(call.sizeBytes / 2 ** 31));
  for (let i = 0; i < call.what.length; i++) mix(call.what.charCodeAt(i));
  mix(0);
  for (let i = 0; i < call.label.length; i++) mix(call.label.charCodeAt(i));
  hash ^= hash >>> 15;
  return hash & 0x3fff_ffff;
}
