// `meshwright devices`: the device catalogue.

import { type CatalogueEntry, devices, platforms } from "@meshwright/core/cluster";
import { textTable } from "@meshwright/core/report";
import type { DefineCommand } from "../main.ts";
import { matching } from "../matching.ts";

const examples = `
Examples:
  meshwright devices
  meshwright devices h100
  meshwright devices --platforms
  meshwright devices mi300x --json`;

export const define: DefineCommand = (command, io) => {
  command
    .argument("[filter]", "show only devices whose id, name or vendor contains this")
    .option("--platforms", "list known machines (cloud instances, reference systems) instead")
    .option("--json", "print every figure with its source")
    .addHelpText("after", examples);
  command.action((filter: string | undefined, options: { readonly json?: boolean; readonly platforms?: boolean }) => {
    if (options.platforms === true) {
      const shown = matching(platforms, filter, (each) => [each.id, each.device]);
      if (options.json === true) return io.out(JSON.stringify(shown, null, 2));
      const columns = [
        ["machine", "left"],
        ["device", "left"],
        ["devices", "right"],
        ["NICs", "right"],
        ["fabric", "left"],
      ] as const;
      return io.out(
        textTable(
          columns.map(([title, align]) => ({ title, align })),
          shown.map((each) => [
            each.id,
            each.device,
            String(each.devicesPerNode),
            `${each.numNics} x ${(each.nicBytesPerSec * 8) / 1e9} Gb/s`,
            each.fabric,
          ]),
        ).join("\n"),
      );
    }
    const shown = matching(devices, filter, (each) => [each.id, each.name, each.vendor]);
    if (options.json === true) return io.out(JSON.stringify(shown, null, 2));
    const columns = [
      ["device", "left"],
      ["name", "left"],
      ["year", "right"],
      ["bf16 TFLOP/s", "right"],
      ["fp8", "right"],
      ["memory GiB", "right"],
      ["GB/s", "right"],
      ["W", "right"],
      ["scale-up", "left"],
    ] as const;
    io.out(
      textTable(
        columns.map(([title, align]) => ({ title, align })),
        shown.map(deviceRow),
      ).join("\n"),
    );
  });
};

function deviceRow(device: CatalogueEntry): readonly string[] {
  const tera = (value: number | undefined) => (value === undefined ? "-" : String(Math.round(value / 1e12)));
  return [
    device.id.replaceAll("_", "-"),
    device.name,
    String(device.year),
    tera(device.peakFlopsPerSec.bf16 ?? device.peakFlopsPerSec.fp16),
    tera(device.peakFlopsPerSec.fp8 ?? device.peakFlopsPerSec.mxfp8),
    String(Math.round((device.memoryBytes / 2 ** 30) * 10) / 10),
    String(Math.round(device.memoryBytesPerSec / 1e9)),
    String(device.tdpWatts),
    device.scaleUp.kind === "none" ? "-" : `${device.scaleUp.type}, ${device.scaleUp.domain} devices`,
  ];
}
