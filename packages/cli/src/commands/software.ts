// `meshwright software`: the presets, and every fact of one.

import { softwareNames, softwarePreset } from "@meshwright/core/parallel/software";
import { textTable } from "@meshwright/core/report";
import { softwareFields } from "@meshwright/core/spec";
import { camelCase } from "@meshwright/core/units";
import type { DefineCommand } from "../main.ts";

const examples = `
Examples:
  meshwright software
  meshwright software megatron-core
  meshwright software torchtitan --json`;

export const define: DefineCommand = (command, io) => {
  command
    .argument("[name]", "show every fact of this preset")
    .option("--json", "print as JSON")
    .addHelpText("after", examples);
  command.action((name: string | undefined, options: { readonly json?: boolean }) => {
    if (name !== undefined) {
      const preset = softwarePreset(name);
      if (options.json === true) return io.out(JSON.stringify(preset, null, 2));
      const facts = preset as unknown as Record<string, unknown>;
      const rows = Object.entries(softwareFields)
        .filter(([key]) => key !== "preset")
        .map(([key, field]) => [key, String(facts[camelCase(key)]), field.doc]);
      io.out(`${io.paint.bold(preset.name)} ${io.paint.dim(`(${preset.date}; ${preset.source})`)}`);
      return io.out(
        textTable(
          ["fact", "value", "meaning"].map((title) => ({ title, align: "left" as const })),
          rows,
        ).join("\n"),
      );
    }
    const presets = softwareNames().map((each) => softwarePreset(each));
    if (options.json === true) return io.out(JSON.stringify(presets, null, 2));
    const rows = presets.map((preset) => [
      preset.name,
      preset.date,
      preset.attention,
      preset.tpOverlap,
      preset.compiled ? "compiled" : preset.cudaGraphs === "none" ? "eager" : `graphs: ${preset.cudaGraphs}`,
    ]);
    io.out(
      textTable(
        ["preset", "date", "attention", "tp overlap", "kernels"].map((title) => ({ title, align: "left" as const })),
        rows,
      ).join("\n"),
    );
  });
};
