// What transports say when a wait cannot end well; one wording for all of them.

export function timeoutText(at: {
  readonly rank: number;
  readonly peer: number;
  readonly op: string;
  readonly collective: string | null;
  readonly timeoutMs: number;
}): string {
  const { rank, peer, op, timeoutMs } = at;
  const whom = peer < 0 ? "other ranks" : `rank ${peer}`;
  return (
    `Rank ${rank} waited ${formatMs(timeoutMs)} for ${whom} in ${op}${of(at.collective)}; ` +
    `${whom === "other ranks" ? "some are" : `${whom} is`} alive but did not come: a hang, work that takes longer than the deadline, or another path through the program`
  );
}

export function goneText(at: {
  readonly rank: number;
  readonly gone: number;
  readonly died: boolean;
  readonly reason: string;
  readonly waitedFor: number;
  readonly op: string;
  readonly collective: string | null;
}): string {
  const { rank, gone, died, reason, waitedFor, op } = at;
  return (
    `Rank ${gone} ${died ? "died" : "has finished"}${reason === "" ? "" : ` (${reason})`} while rank ${rank} ` +
    `waited for ${gone === waitedFor ? "it" : waitedFor < 0 ? "all ranks" : `rank ${waitedFor}`} in ${op}${of(at.collective)}`
  );
}

export function lengthText(at: {
  readonly rank: number;
  readonly from: number;
  readonly tag: number;
  readonly sentBytes: number;
  readonly expectedBytes: number;
  readonly collective: string | null;
}): string {
  const where = at.collective ?? `message with tag ${at.tag}`;
  return `Rank ${at.from} sent ${at.sentBytes} bytes where rank ${at.rank} expects ${at.expectedBytes} (${where})`;
}

function of(collective: string | null): string {
  return collective === null ? "" : ` of ${collective}`;
}

function formatMs(ms: number): string {
  return ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
}
