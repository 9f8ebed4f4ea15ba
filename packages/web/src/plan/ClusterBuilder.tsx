// The cluster: one line of shorthand, or the fields that people change. A field turns the shorthand into a description; what the fields do not show (levels,
// own devices, groups) is kept as it was written.

import { formatBitRate, formatBytes, formatRate, grouped } from "@meshwright/core/units";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import type { DeviceEntry } from "../compute/catalogue.ts";
import type { ClusterFacts } from "../compute/jobFacts.ts";
import { Select } from "../design/Choice.tsx";
import { Field, NumberInput, TextInput } from "../design/Field.tsx";
import { isSection, type RunFile, type Section } from "../state/runFile.ts";
import { clusterText } from "../state/runText.ts";
import { store } from "../state/store.ts";

export function ClusterBuilder(props: {
  readonly run: RunFile;
  readonly facts: ClusterFacts | null;
  readonly devices: readonly DeviceEntry[];
}) {
  const { run, facts, devices } = props;
  const { cluster } = run;
  const shorthand = useId();
  const hidden = typeof cluster === "string" ? [] : Object.keys(cluster).filter((key) => !shownFields.has(key));
  const isOwnDevice = isSection(cluster) && isSection(cluster["device"]);
  const set = (label: string, change: Section) => store.edit(label, (before) => withCluster(before, facts, change));
  return (
    <>
      <Field label="shorthand" help="Such as 64xh100-sxm, 8x8xa100-80g or gb200-nvl72x2">
        {(id) => (
          <TextInput
            id={id}
            value={typeof cluster === "string" ? cluster : ""}
            placeholder={clusterText(run)}
            list={shorthand}
            onCommit={(text) =>
              text.trim() !== "" && store.edit("cluster", (before) => ({ ...before, cluster: text.trim() }))
            }
          />
        )}
      </Field>
      <datalist id={shorthand}>
        {devices.slice(0, 60).map(({ id, devicesPerNode }) => (
          <option key={id} value={`${devicesPerNode * 8}x${id.replaceAll("_", "-")}`} />
        ))}
      </datalist>
      <Field label="device">
        {(id) => (
          <Select
            id={id}
            value={isOwnDevice || facts === null ? (facts?.device ?? "own device") : facts.deviceId}
            disabled={facts?.mixed}
            onChange={(device) => set("device", { device })}
            options={devices.map((device) => ({ value: device.id, label: device.name }))}
          />
        )}
      </Field>
      <Field label="nodes" help="Nodes, and devices of each">
        {(id) => (
          <Times>
            <NumberInput
              id={id}
              min={1}
              value={facts === null ? undefined : Math.ceil(facts.numDevices / facts.devicesPerNode)}
              onCommit={(nodes) => nodes !== undefined && set("nodes", { nodes })}
            />
            <NumberInput
              label="devices per node"
              min={1}
              value={facts?.devicesPerNode}
              onCommit={(count) => count !== undefined && set("devices per node", { gpus_per_node: count })}
            />
          </Times>
        )}
      </Field>
      <Field label="NICs" help="Network cards of one node, and the speed of each, such as 400Gb/s">
        {(id) => (
          <Times>
            <NumberInput
              id={id}
              min={1}
              value={facts?.numNics}
              onCommit={(count) => count !== undefined && set("NICs", { nics: { count } })}
            />
            <TextInput
              label="speed of one NIC"
              value={facts === null ? "" : formatBitRate(facts.nicBytesPerSec)}
              onCommit={(speed) => set("NIC speed", { nics: { speed } })}
            />
          </Times>
        )}
      </Field>
      <Field label="$ per hour" help="Dollars of one device for one hour">
        {(id) => (
          <NumberInput
            id={id}
            value={facts?.usdPerDeviceHour ?? undefined}
            placeholder="no price"
            onCommit={(usd) => set("price", { usd_per_device_hour: usd })}
          />
        )}
      </Field>
      {facts === null ? null : (
        <p class="facts">
          <span>
            <strong>{grouped(facts.numDevices)}</strong> devices
          </span>
          <span>{formatBytes(facts.memoryBytes)} each</span>
          {facts.levels.map(({ kind, numDevices, bytesPerSec }) => (
            <span key={`${kind}${numDevices}`}>
              {kind} of {grouped(numDevices)}: {formatRate(bytesPerSec)}
            </span>
          ))}
        </p>
      )}
      {hidden.length > 0 ? <p class="dim">Also described: {hidden.join(", ")}</p> : null}
    </>
  );
}

/** Two fields that belong together: so many of such. */
function Times({ children }: { readonly children: readonly [ComponentChildren, ComponentChildren] }) {
  return (
    <div class="times">
      {children[0]}
      <span class="dim" aria-hidden="true">
        ×
      </span>
      {children[1]}
    </div>
  );
}

const shownFields: ReadonlySet<string> = new Set([
  ...["name", "device", "nodes", "gpus_per_node", "devices_per_node", "gpus", "devices", "num_devices", "nics"],
  "usd_per_device_hour",
]);
const counts = ["gpus", "devices", "num_devices", "devices_per_node"] as const;

/** The run with a change of the cluster. A shorthand is written out first, with only what it says: the rest stays the device's own. */
export function withCluster(run: RunFile, facts: ClusterFacts | null, change: Section): RunFile {
  const before: Section = typeof run.cluster === "string" ? described(facts) : run.cluster;
  const next: Record<string, unknown> = { ...before };
  const resizes = change["nodes"] !== undefined || change["gpus_per_node"] !== undefined;
  if (resizes && facts !== null) {
    for (const key of counts) delete next[key];
    next["nodes"] ??= Math.ceil(facts.numDevices / facts.devicesPerNode);
    next["gpus_per_node"] ??= facts.devicesPerNode;
  }
  // Another device has another node, other NICs and another price.
  if (change["device"] !== undefined)
    for (const key of ["gpus_per_node", "nics", "usd_per_device_hour", "scale_up", "name"]) delete next[key];
  if (next["name"] !== undefined && resizes) delete next["name"];
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined) delete next[key];
    else next[key] = isSection(value) && isSection(next[key]) ? { ...next[key], ...value } : value;
  }
  return { ...run, cluster: next };
}

function described(facts: ClusterFacts | null): Section {
  if (facts === null) return {};
  return {
    device: facts.deviceId,
    nodes: Math.ceil(facts.numDevices / facts.devicesPerNode),
    gpus_per_node: facts.devicesPerNode,
  };
}
