// The side of the page: the pinned span in full; without one, the keys. And the card that follows the pointer.

import { formatSeconds } from "@meshwright/core/units";
import { Button } from "../design/Button.tsx";
import type { SpanTable } from "./model/spanTable.ts";
import { rowOf } from "./model/spanTable.ts";
import { cssCategory } from "./paint/categoryColour.ts";
import type { TimelineSession } from "./view/session.ts";
import { sameName, spanFacts, spanName } from "./view/spanFacts.ts";

export interface PanelContent {
  readonly title: string;
  readonly remark: string;
  readonly table: SpanTable;
}

export function Swatch({ category }: { readonly category: string }) {
  return <span class="swatch" style={{ background: cssCategory(category) }} />;
}

export function SpanDetails({
  session,
  panels,
}: {
  readonly session: TimelineSession;
  readonly panels: readonly PanelContent[];
}) {
  const pinned = session.pinned.value;
  const panel = pinned === null ? undefined : panels[pinned.panel];
  if (pinned === null || panel === undefined || pinned.span >= panel.table.numSpans) return <Keys />;
  const { table } = panel;
  const { span } = pinned;
  const all = sameName(table, span);
  return (
    <div class="tl-details">
      <h2>
        <Swatch category={table.categories[table.category[span]!]!} /> {spanName(table, span)}
        <Button kind="quiet" label="Unpin (Esc)" onClick={() => (session.pinned.value = null)}>
          ✕
        </Button>
      </h2>
      {panels.length > 1 ? <p class="dim">{panel.title}</p> : null}
      <dl>
        {spanFacts(table, span, table.untilSec - table.fromSec).map(({ name, value }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        {all.count > 1 ? (
          <div>
            <dt>alike</dt>
            <dd>
              {all.count} on {table.groups[rowOf(table, span).groupIndex]!.name}, {formatSeconds(all.totalSec)}
            </dd>
          </div>
        ) : null}
      </dl>
      <div class="row">
        <Button
          onClick={() => session.focus({ fromSec: table.startSec[span]!, untilSec: table.endSec[span]! })}
          label="Zoom to this span (Enter)"
        >
          Zoom to it
        </Button>
        <Button onClick={() => (session.query.value = table.names[table.name[span]!]!)}>Find all</Button>
      </div>
    </div>
  );
}

const keys: readonly (readonly [string, string])[] = [
  ["drag", "pan"],
  ["Ctrl + wheel, W S", "zoom about the pointer"],
  ["A D, ← →", "pan"],
  ["shift + drag", "zoom into a stretch"],
  ["click", "pin a span"],
  ["double click, Enter", "zoom to a span"],
  ["shift + arrows", "from span to span"],
  ["/", "search"],
  ["C", "critical path only"],
  ["F", "whole step"],
];

function Keys() {
  return (
    <div class="tl-details">
      <h2>Nothing pinned</h2>
      <p class="dim">Point at a span for its figures; click pins it here.</p>
      <dl class="tl-keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** Beside the pointer, on the side where there is room. */
export function HoverCard({
  session,
  panels,
}: {
  readonly session: TimelineSession;
  readonly panels: readonly PanelContent[];
}) {
  const hovered = session.hovered.value;
  const panel = hovered === null ? undefined : panels[hovered.panel];
  if (hovered === null || panel === undefined || hovered.span >= panel.table.numSpans) return null;
  const { table } = panel;
  const isRight = hovered.xPx > window.innerWidth - 340;
  const isLow = hovered.yPx > window.innerHeight - 220;
  return (
    <div
      class="tl-card"
      aria-hidden="true"
      style={{
        left: isRight ? "auto" : `${hovered.xPx + 14}px`,
        right: isRight ? `${window.innerWidth - hovered.xPx + 14}px` : "auto",
        top: isLow ? "auto" : `${hovered.yPx + 14}px`,
        bottom: isLow ? `${window.innerHeight - hovered.yPx + 14}px` : "auto",
      }}
    >
      <strong>
        <Swatch category={table.categories[table.category[hovered.span]!]!} /> {spanName(table, hovered.span)}
      </strong>
      <dl>
        {spanFacts(table, hovered.span, table.untilSec - table.fromSec)
          .slice(0, 7)
          .map(({ name, value }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </div>
  );
}
