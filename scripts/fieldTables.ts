// The field tables of docs/predict.md, from the same table the reader uses; docs.test.ts fails when the document is behind.

import {
  describeType,
  type Field,
  type FieldTable,
  softwareFields,
  strategyFields,
  topFields,
  workloadFields,
} from "../packages/core/src/spec/fields.ts";

const tables: Readonly<Record<string, FieldTable>> = {
  top: topFields,
  workload: workloadFields,
  strategy: strategyFields,
  software: softwareFields,
};

const cell = (text: string) => text.replaceAll("|", "\\|");

function markdownTable(table: FieldTable): string {
  const rows = Object.entries<Field>(table).map(
    ([key, field]) =>
      `| \`${key}\` | ${cell(describeType(field.type))} | ${cell(field.fallback)} | ${cell(field.doc)} |`,
  );
  return ["| field | value | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

/** The document with every `<!-- fields: NAME -->` ... `<!-- end -->` block filled in. */
export function withFieldTables(document: string): string {
  return document.replace(
    /(<!-- fields: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, open: string, name: string, close: string) => {
      const table = tables[name];
      if (table === undefined) throw new Error(`docs/predict.md asks for an unknown table "${name}"`);
      return `${open}${markdownTable(table)}\n${close}`;
    },
  );
}
