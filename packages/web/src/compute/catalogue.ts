// The task `catalogue`: names to choose from, with the facts that help to choose.

import { devices, platforms } from "@meshwright/core/cluster";
import { ENGINES, type EngineName, LAUNCHERS, type LauncherName } from "@meshwright/core/interop";
import { catalogueModel, catalogueNames, parameterCounts } from "@meshwright/core/model";
import { softwareNames } from "@meshwright/core/parallel/software";

export interface ModelEntry {
  readonly name: string;
  readonly family: string;
  readonly numLayers: number;
  readonly hidden: number;
  readonly maxSeqLen: number;
  readonly parameters: number;
  /** Used for one token; equal to `parameters` in dense models. */
  readonly activeParameters: number;
}

export interface DeviceEntry {
  readonly id: string;
  readonly name: string;
  readonly memoryBytes: number;
  readonly memoryBytesPerSec: number;
  /** Dense bf16 (or the widest 16-bit format it has). */
  readonly peakFlopsPerSec: number;
  readonly priceUsdPerHour: number | null;
  readonly devicesPerNode: number;
  readonly numNics: number;
  readonly nicBytesPerSec: number;
}

export interface PlatformEntry {
  readonly id: string;
  readonly device: string;
  readonly devicesPerNode: number;
}

export interface Catalogue {
  readonly models: readonly ModelEntry[];
  readonly devices: readonly DeviceEntry[];
  readonly platforms: readonly PlatformEntry[];
  readonly software: readonly string[];
  readonly engines: readonly EngineName[];
  readonly launchers: readonly LauncherName[];
}

/** @param _ nothing to say: the catalogue is one. */
export function catalogue(_: Readonly<Record<string, never>>): Catalogue {
  return {
    models: catalogueNames().map((name) => {
      const model = catalogueModel(name)!; // a name from the catalogue's own list
      const counts = parameterCounts(model);
      return {
        name,
        family: model.family,
        numLayers: model.layers.length,
        hidden: model.hidden,
        maxSeqLen: model.maxSeqLen,
        parameters: counts.total,
        activeParameters: counts.active,
      };
    }),
    devices: devices.map((device) => ({
      id: device.id,
      name: device.name,
      memoryBytes: device.memoryBytes,
      memoryBytesPerSec: device.memoryBytesPerSec,
      peakFlopsPerSec: device.peakFlopsPerSec.bf16 ?? device.peakFlopsPerSec.fp16 ?? 0,
      priceUsdPerHour: device.priceUsdPerHour ?? null,
      devicesPerNode: device.node.numDevices,
      numNics: device.node.numNics,
      nicBytesPerSec: device.node.nicBytesPerSec,
    })),
    platforms: platforms.map(({ id, device, devicesPerNode }) => ({ id, device, devicesPerNode })),
    software: softwareNames(),
    engines: ENGINES,
    launchers: LAUNCHERS,
  };
}
