import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { namedModel } from "./catalogue.ts";
import { importModel } from "./importModel.ts";
import { parameterCounts } from "./parameterCounts.ts";
import { parseConfigText } from "./parseConfigText.ts";

describe("examples/models", () => {
  it.each(["llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "mixtral-8x7b", "deepseek-v3", "gpt3-175b"])(
    "%s.json describes the catalogue's model of that name",
    (name) => {
      const path = new URL(`../../../../examples/models/${name}.json`, import.meta.url);
      const model = importModel(parseConfigText(readFileSync(path, "utf8")), { name });
      expect(parameterCounts(model)).toEqual(parameterCounts(namedModel(name)));
      expect(model.layers).toEqual(namedModel(name).layers);
    },
  );
});
