// The cluster room: devices, nodes, levels of the network, and where groups lie on them.

export { assembleCluster, type ClusterFacts, specOf } from "./assemble.ts";
export type { CatalogueEntry, Platform, ScaleUpFacts, ScaleUpKind, TypicalNode } from "./catalogue.ts";
export { deviceByName, deviceNames, deviceSources, devices, findDevice, findPlatform, platforms } from "./catalogue.ts";
export { clusterDescription } from "./describeCluster.ts";
export { clusterFromDescription } from "./description.ts";
export { deviceFromDescription } from "./deviceDescription.ts";
export { readCalibration } from "./measurements/readCalibration.ts";
export * from "./measurements/types.ts";
export { measuredDevice, withMeasurements } from "./measurements/withMeasurements.ts";
export { writeCalibration } from "./measurements/writeCalibration.ts";
export {
  assembleMixed,
  changedCluster,
  type GroupFacts,
  type IslandLink,
  type MixedFacts,
  placedCluster,
} from "./mixed.ts";
export { groupOfDevice, groupPlacement, placementFrom, stridedPlacement } from "./placement.ts";
export { clusterFromShorthand } from "./shorthand.ts";
export { LINK_LATENCY_SEC, linkKindOf, squareDims } from "./topology.ts";
export type {
  ClusterSpec,
  DeviceGroup,
  DeviceSpec,
  GroupPlacement,
  LinkKind,
  NetworkLevel,
  NodeSpec,
} from "./types.ts";
