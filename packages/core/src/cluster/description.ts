// Clusters described as a text or an object (YAML or JSON). Every finding is reported at once.
//
//   one kind of device   the fields of factsDescription.ts
//   several              groups: [{name, island, ...fields of one kind} | shorthand, ...]   in the order of their devices
//                        links: [{between: [island, island], type, nics: {count, speed} per node | bandwidth per device | total, latency}, ...]
//                        (or one link without `between`: it joins any two islands that no other names)

import { collectFindings, type Finding, InputError } from "../units/errors.ts";
import { assembleCluster } from "./assemble.ts";
import { FACT_KEYS, readFacts, readNics } from "./factsDescription.ts";
import { FieldReader, isFields, shown } from "./fields.ts";
import { assembleMixed, type GroupFacts, type IslandLink } from "./mixed.ts";
import { mixedFindings, uniqueNames } from "./mixedCheck.ts";
import { clusterFromShorthand, factsFromShorthand } from "./shorthand.ts";
import { fabricLatencySec, linkKindOf } from "./topology.ts";
import type { ClusterSpec } from "./types.ts";

/** A shorthand text or a description object; throws InputError with every finding. */
export function clusterFromDescription(value: unknown, path = "cluster"): ClusterSpec {
  if (typeof value === "string") return clusterFromShorthand(value, path);
  const findings: Finding[] = [];
  const cluster =
    isFields(value) && (value.groups !== undefined || value.links !== undefined)
      ? readMixed(value, path, findings)
      : readOne(value, path, findings);
  if (cluster === undefined || findings.length > 0) throw new InputError(findings);
  return cluster;
}

function readOne(value: unknown, path: string, findings: Finding[]): ClusterSpec | undefined {
  const facts = readFacts(value, path, findings, ["groups", "links"]);
  return facts === undefined || findings.length > 0 ? undefined : assembleCluster(facts);
}

function readMixed(value: unknown, path: string, findings: Finding[]): ClusterSpec | undefined {
  const ofOneKind = isFields(value) ? FACT_KEYS.filter((key) => key !== "name" && value[key] !== undefined) : [];
  const reader = new FieldReader(value, path, ["name", "groups", "links", ...ofOneKind], findings);
  for (const key of ofOneKind)
    reader.add(key, `"${key}" describes devices of one kind, but the cluster has groups`, "move it into each group");
  const groups = readGroups(reader);
  const links = readLinks(reader, groups);
  if (groups === undefined || links === undefined) return undefined;
  const name = reader.text("name") ?? groups.map((group) => group.facts.name).join(" + ");
  const mixed = { name, groups, links, notes: [] };
  findings.push(...mixedFindings(mixed, path));
  return findings.length > 0 ? undefined : assembleMixed(mixed);
}

/** undefined when a group could not be read. */
function readGroups(reader: FieldReader): GroupFacts[] | undefined {
  const value = reader.fields.groups;
  if (!Array.isArray(value) || value.length === 0) {
    reader.add("groups", `Expected a list of groups, got ${shown(value)}`, "give each its device, nodes and NICs");
    return undefined;
  }
  const read = value.map((item: unknown, i) => readGroup(item, `${reader.at("groups")}[${i}]`, reader.findings));
  const known = read.filter((group) => group !== undefined);
  if (known.length < read.length) return undefined;
  const defaults = uniqueNames(known.map(({ facts }) => facts.device.id.replaceAll("_", "-")));
  return known.map(({ name, island, facts }, i) => ({ name: name ?? defaults[i]!, island: island ?? "main", facts }));
}

function readGroup(
  item: unknown,
  path: string,
  findings: Finding[],
): (Omit<GroupFacts, "name" | "island"> & { readonly name?: string; readonly island?: string }) | undefined {
  if (typeof item === "string") {
    const facts = collectFindings(findings, () => factsFromShorthand(item, path));
    return facts === undefined ? undefined : { facts };
  }
  const before = findings.length;
  const { island: written, ...rest } = isFields(item) ? item : { island: undefined };
  const facts = readFacts(isFields(item) ? rest : item, path, findings);
  if (written !== undefined && (typeof written !== "string" || written === ""))
    findings.push({ path: `${path}.island`, message: `Expected text, got ${shown(written)}` });
  if (facts === undefined || findings.length > before) return undefined;
  const name = isFields(item) && typeof item.name === "string" ? item.name : undefined;
  return {
    facts,
    ...(name === undefined ? {} : { name }),
    ...(typeof written === "string" ? { island: written } : {}),
  };
}

/** undefined when a link could not be read. */
function readLinks(reader: FieldReader, groups: readonly GroupFacts[] | undefined): IslandLink[] | undefined {
  const value = reader.fields.links ?? [];
  const items = Array.isArray(value) ? value : [value];
  const names = groups === undefined ? undefined : [...new Set(groups.map((group) => group.island))];
  const at = (i: number) => (Array.isArray(value) ? `${reader.at("links")}[${i}]` : reader.at("links"));
  const read = items.map((item: unknown, i) => readLink(item, at(i), reader.findings, names));
  const known = read.filter((link) => link !== undefined);
  return known.length < read.length ? undefined : known;
}

function readLink(
  item: unknown,
  path: string,
  findings: Finding[],
  islands: readonly string[] | undefined,
): IslandLink | undefined {
  const before = findings.length;
  const reader = new FieldReader(item, path, ["between", "type", "nics", "bandwidth", "total", "latency"], findings);
  const between = readBetween(reader, islands);
  const type = reader.text("type") ?? "ethernet";
  const kind = linkKindOf(type);
  if (kind === "other")
    reader.add("type", `Unknown link "${type}"`, "use infiniband, ethernet, roce, efa, slingshot or dcn");
  const latency = reader.quantity("latency", "seconds");
  const given = ["nics", "bandwidth", "total"].filter((key) => reader.has(key));
  if (given.length !== 1)
    reader.add(
      given[1] ?? "nics",
      given.length === 0 ? "Missing the speed of the link" : `Fields ${given.join(" and ")} contradict each other`,
      'give one of nics (per node, like {count: 1, speed: "25Gb/s"}), bandwidth (per device) and total (of the whole link)',
    );
  const nics = readNics(reader);
  if (
    reader.has("nics") &&
    nics.speed === undefined &&
    isFields(reader.fields.nics) &&
    reader.fields.nics.speed === undefined
  )
    reader.add("nics.speed", "Missing the speed of one NIC", 'write it like "25Gb/s"');
  const bandwidth = reader.positive("bandwidth", "rate");
  const total = reader.positive("total", "rate");
  if (findings.length > before) return undefined;
  const rate: IslandLink["rate"] =
    total !== undefined
      ? { of: "all", bytesPerSec: total }
      : bandwidth !== undefined
        ? { of: "device", bytesPerSec: bandwidth }
        : { of: "node", bytesPerSec: (nics.count ?? 1) * nics.speed! }; // one of the three is given
  return {
    kind,
    latencySec: latency ?? fabricLatencySec(type, kind),
    rate,
    ...(between === undefined ? {} : { between }),
  };
}

function readBetween(reader: FieldReader, islands: readonly string[] | undefined): [string, string] | undefined {
  if (!reader.has("between")) return undefined;
  const value = reader.fields.between;
  const [a, b] = Array.isArray(value) ? (value as unknown[]) : [];
  if (!Array.isArray(value) || value.length !== 2 || typeof a !== "string" || typeof b !== "string" || a === b) {
    reader.add("between", `Expected two islands, got ${shown(value)}`, "write it like [west, east]");
    return undefined;
  }
  for (const name of [a, b])
    if (islands !== undefined && !islands.includes(name))
      reader.add("between", `No group is in island "${name}"`, `islands are ${islands.join(", ")}`);
  return [a, b];
}
