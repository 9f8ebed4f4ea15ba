// `meshwright models`: the model catalogue.

import { catalogueModel, catalogueNames, parameterCounts } from "@meshwright/core/model";
import { textTable } from "@meshwright/core/report";
import type { DefineCommand } from "../main.ts";
import { matching } from "../matching.ts";

const examples = `
Examples:
  meshwright models
  meshwright models llama
  meshwright models --json`;

export const define: DefineCommand = (command, io) => {
  command
    .argument("[filter]", "show only names that contain this")
    .option("--json", "print as JSON")
    .addHelpText("after", examples);
  command.action((filter: string | undefined, options: { readonly json?: boolean }) => {
    const rows = matching(catalogueNames(), filter, (name) => [name]).map((name) => {
      const model = catalogueModel(name)!;
      return {
        name,
        family: model.family,
        layers: model.layers.length,
        hidden: model.hidden,
        parameters: parameterCounts(model),
      };
    });
    if (options.json === true) return io.out(JSON.stringify(rows, null, 2));
    const billions = (count: number) => `${(count / 1e9).toFixed(count < 1e10 ? 2 : 1)}B`;
    const columns = [
      ["model", "left"],
      ["type", "left"],
      ["layers", "right"],
      ["hidden", "right"],
      ["parameters", "right"],
      ["active", "right"],
    ] as const;
    io.out(
      textTable(
        columns.map(([title, align]) => ({ title, align })),
        rows.map((row) => [
          row.name,
          row.family,
          String(row.layers),
          String(row.hidden),
          billions(row.parameters.total),
          row.parameters.active === row.parameters.total ? "all" : billions(row.parameters.active),
        ]),
      ).join("\n"),
    );
  });
};
