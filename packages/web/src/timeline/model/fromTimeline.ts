// A timeline of the library (a prediction's, a run's) as a span table.

import type { TimelineSpans } from "@meshwright/core/simulate";
import { type Facts, type MemoryTrack, type SpanTable, SpanTableBuilder } from "./spanTable.ts";

export function tableOfTimeline(timeline: TimelineSpans): SpanTable {
  const builder = new SpanTableBuilder();
  for (const { name } of timeline.ranks) builder.addGroup(name);
  const factsIds = new Map<Facts, number>();
  const spanIds = timeline.spans.map((span) => {
    const stream = timeline.streams[span.streamIndex]!;
    const id = builder.streamOf(span.rankIndex, stream, stream === "actions" ? "actions" : "stream", span.streamIndex);
    let facts = -1;
    if (span.args !== undefined) {
      facts = factsIds.get(span.args) ?? builder.addFacts(span.args);
      factsIds.set(span.args, facts);
    }
    return builder.add(
      id,
      builder.nameOf(span.name),
      builder.categoryOf(span.category),
      span.startSec,
      span.startSec + span.durationSec,
      facts,
      span.critical === true,
    );
  });
  const names = timeline.chargeNames ?? [];
  for (const { rankIndex, startSec, part, endSec } of timeline.charges ?? []) {
    const id = builder.streamOf(rankIndex, "charged to", "charges", -1);
    for (let i = 0; i < part.length; i++) {
      const key = names[part[i]!]!;
      builder.add(id, builder.nameOf(key), builder.categoryOf(key), startSec[i]!, startSec[i + 1] ?? endSec, -1, false);
    }
  }
  return builder.table({
    title: timeline.title,
    sends: timeline.sends.map(({ fromSpan, toSpan }) => [spanIds[fromSpan]!, spanIds[toSpan]!] as const),
    memory: timeline.memory.map(
      ({ rankIndex, timeSec, parts, capacityBytes }): MemoryTrack => ({
        groupIndex: rankIndex,
        timeSec: Float64Array.from(timeSec),
        parts: Object.entries(parts).map(([key, bytes]) => ({ key, bytes: Float64Array.from(bytes) })),
        capacityBytes: capacityBytes ?? null,
      }),
    ),
    notes: [],
  });
}
