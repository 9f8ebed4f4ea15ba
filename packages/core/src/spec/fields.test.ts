import { describe, expect, it } from "vitest";
import { softwareNames, softwarePreset } from "../parallel/software/index.ts";
import { camelCase } from "../units/spelling.ts";
import { softwareFields } from "./fields.ts";

describe("softwareFields", () => {
  // That every fact has a field is checked by the compiler.
  it("admits the value of every preset", () => {
    for (const name of softwareNames()) {
      const facts = softwarePreset(name) as unknown as Record<string, unknown>;
      for (const [key, { type }] of Object.entries(softwareFields)) {
        if (key === "preset") continue;
        const value = facts[camelCase(key)];
        if (value === undefined) continue;
        if (type.kind === "list")
          expect(type.choices, `${name} ${key}`).toEqual(expect.arrayContaining(value as string[]));
        else if (type.kind === "choice") expect(type.choices, `${name} ${key}`).toContain(value);
        else expect(typeof value, `${name} ${key}`).toBe(type.kind === "flag" ? "boolean" : "number");
      }
    }
  });
});
