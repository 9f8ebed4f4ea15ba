// Several timelines as one, such as a predicted and a measured step: each keeps its ranks, as processes of their own, and its times, counted from its own
// beginning.

import type { TimelineSpans } from "../simulate/spans.ts";

/** @param parts each with the words that come before the names of its ranks. */
export function mergeTimelines(
  title: string,
  parts: readonly { readonly prefix: string; readonly timeline: TimelineSpans }[],
): TimelineSpans {
  const streams = [...new Set(parts.flatMap(({ timeline }) => timeline.streams))];
  const merged = { title, streams, ranks: [], spans: [], sends: [], memory: [] } as {
    title: string;
    streams: string[];
    ranks: TimelineSpans["ranks"][number][];
    spans: TimelineSpans["spans"][number][];
    sends: TimelineSpans["sends"][number][];
    memory: TimelineSpans["memory"][number][];
  };
  for (const { prefix, timeline } of parts) {
    const [firstRank, firstSpan] = [merged.ranks.length, merged.spans.length];
    // Process numbers must differ, so ranks are counted through.
    for (const [i, { name }] of timeline.ranks.entries())
      merged.ranks.push({ rank: firstRank + i, name: `${prefix} ${name}` });
    for (const span of timeline.spans)
      merged.spans.push({
        ...span,
        rankIndex: firstRank + span.rankIndex,
        streamIndex: streams.indexOf(timeline.streams[span.streamIndex]!),
      });
    for (const send of timeline.sends)
      merged.sends.push({ ...send, fromSpan: firstSpan + send.fromSpan, toSpan: firstSpan + send.toSpan });
    for (const memory of timeline.memory) merged.memory.push({ ...memory, rankIndex: firstRank + memory.rankIndex });
  }
  return merged;
}
