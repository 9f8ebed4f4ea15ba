// What a device that issues its own work does beside its ops, as a description gives it: `dispatch_after` (the interpreter between two ops) and `interruptions`.

import type { FieldReader } from "./fields.ts";
import { FieldReader as Reader } from "./fields.ts";
import type { DeviceSpec, Interruptions } from "./types.ts";

/** `[{bytes: 65536, time: 4us}, {bytes: 8388608, time: 25us}]` */
export function readDispatchAfter(reader: FieldReader): DeviceSpec["dispatchAfter"] {
  const rows = rowsOf(reader, "dispatch_after", ["bytes", "time"], (row) => ({
    sizeBytes: row.positive("bytes", "bytes") ?? 1, // findings refuse the description
    durationSec: row.positive("time", "seconds") ?? 1,
  }));
  return rows?.sort((a, b) => a.sizeBytes - b.sizeBytes);
}

/** `[{devices: 2, per_second: 3.5, mean: 1.2ms, rms: 1.9ms}]` */
export function readInterruptions(reader: FieldReader): readonly Interruptions[] | undefined {
  const rows = rowsOf(reader, "interruptions", ["devices", "per_second", "mean", "rms"], (row) => {
    const meanSec = row.quantity("mean", "seconds") ?? 0;
    const rmsSec = row.quantity("rms", "seconds") ?? meanSec;
    if (rmsSec < meanSec)
      row.add("rms", "A root mean square below the mean cannot be", "give the root of the mean of the squared lengths");
    const perSec = row.quantity("per_second", "hertz") ?? 0;
    return { numDevices: row.count("devices") ?? 1, perSec, meanSec, rmsSec };
  });
  return rows?.sort((a, b) => a.numDevices - b.numDevices);
}

function rowsOf<Row>(
  reader: FieldReader,
  key: string,
  allowed: readonly string[],
  read: (row: FieldReader) => Row,
): Row[] | undefined {
  if (!reader.has(key)) return undefined;
  const value = reader.fields[key];
  if (!Array.isArray(value) || value.length === 0) {
    reader.add(key, "Expected a list of rows", `each with ${allowed.join(", ")}`);
    return undefined;
  }
  return value.map((row, i) => {
    const inner = new Reader(row, reader.at(`${key}[${i}]`), allowed, reader.findings);
    for (const name of allowed) if (name !== "rms" && !inner.has(name)) inner.add(name, "Missing");
    return read(inner);
  });
}
