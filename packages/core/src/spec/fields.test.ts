import { describe, expect, it } from "vitest";
import { softwareNames, softwarePreset } from "../parallel/software/index.ts";
import { softwareFields } from "./fields.ts";
import { camelCase } from "./readSoftware.ts";

describe("softwareFields", () => {
  const notSettable = ["name", "date", "source"];

  it("has every fact of a preset, and nothing else", () => {
    const fields = Object.keys(softwareFields)
      .filter((key) => key !== "preset")
      .map(camelCase);
    const facts = Object.keys(softwarePreset("generic")).filter((key) => !notSettable.includes(key));
    expect(fields.sort()).toEqual(facts.sort());
  });

  it("admits the value of every preset", () => {
    for (const name of softwareNames()) {
      const facts = softwarePreset(name) as unknown as Record<string, unknown>;
      for (const [key, { type }] of Object.entries(softwareFields)) {
        if (key === "preset") continue;
        const value = facts[camelCase(key)];
        if (type.kind === "choice") expect(type.choices, `${name} ${key}`).toContain(value);
        else expect(typeof value, `${name} ${key}`).toBe(type.kind === "flag" ? "boolean" : "number");
      }
    }
  });
});
