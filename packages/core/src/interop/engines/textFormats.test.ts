// The small readers of other languages: what they read, with lines, and what they refuse.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readJson } from "./jsonText.ts";
import { listPattern, readListPattern } from "./listPattern.ts";
import { readLayout, writeLayout } from "./megatronLayout.ts";
import { readPython } from "./pythonText.ts";
import { readToml } from "./tomlText.ts";

describe("readJson()", () => {
  it("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(readJson(text).value).toEqual(JSON.parse(text));
      }),
    );
  });

  it("refuses what JSON.parse refuses", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), fc.constantFrom("", ",", "}", '"', "0", "\\"), (value, at, piece) => {
        const text = JSON.stringify(value);
        const i = at % (text.length + 1);
        const damaged = text.slice(0, i) + piece + text.slice(i + (piece === "" ? 1 : 0));
        const accepts = (read: () => unknown) => {
          try {
            read();
            return true;
          } catch {
            return false;
          }
        };
        expect(
          accepts(() => readJson(damaged)),
          damaged,
        ).toBe(accepts(() => JSON.parse(damaged)));
      }),
    );
  });

  it("knows lines and keys that stand twice", () => {
    const read = readJson('{\n  "a": {\n    "b": 1\n  },\n  "a": 2\n}');
    expect(read.lineOf("a.b")).toBe(3);
    expect(read.repeated).toEqual([{ path: "a", line: 5 }]);
  });
});

describe("readToml()", () => {
  const flat = (text: string) =>
    Object.fromEntries([...readToml(text)].map(([key, { value, line }]) => [key, [value, line]]));

  it("reads tables, dotted keys, arrays over lines, inline tables and comments", () => {
    const text =
      'top = 1 # one\n[a.b]\n"c d" = "x # y"\ne.f = [\n  1, 2, # two\n  [3],\n]\n\n[g]\nh = {i = true, j = -1_000}\nk = 5e-1\nl = \'\\raw\'\nm = """\nlong"""\n';
    expect(flat(text)).toEqual({
      top: [1, 1],
      "a.b.c d": ["x # y", 3],
      "a.b.e.f": [[1, 2, [3]], 4],
      "g.h.i": [true, 10],
      "g.h.j": [-1000, 10],
      "g.k": [0.5, 11],
      "g.l": ["\\raw", 12],
      "g.m": ["long", 13],
    });
  });

  it.each([
    ["a = ", /line 1/],
    ["a = b", /text stands in quotes/],
    ['a = "x', /closing quote/],
    ["[[a]]\nb = 1", /arrays of tables/],
    ["a = 1\na = 2", /line 2: .*stands twice/],
    ["a = 1 b = 2", /end of the line/],
    ["a = [1 2]", /"," or "\]"/],
  ])("refuses %j", (text, expected) => {
    expect(() => readToml(text)).toThrow(expected);
  });
});

describe("readPython()", () => {
  const values = (text: string) =>
    Object.fromEntries([...readPython(text).settings].map(([key, { value, line }]) => [key, [value, line]]));

  it("reads assignments of literals, with or without config", () => {
    expect(
      values(
        'A = 8_192  # tokens\nB: bool = True\nconfig.x.y = "a#b"\nconfig.z = 4 * 2048\nN = None\nL = [["a"], [1]]\n',
      ),
    ).toEqual({
      A: [8192, 1],
      B: [true, 2],
      "x.y": ["a#b", 3],
      z: [8192, 4],
      N: [null, 5],
      L: [[["a"], [1]], 6],
    });
  });

  it("skips docstrings and compares, and names what it cannot read", () => {
    const read = readPython('"""A = 1"""\nif A == 2:\n    B = compute(3)\nC = len(x) + 1\n');
    expect(read.settings.has("A")).toBe(false);
    expect(read.unread.map(({ key }) => key)).toEqual(["C"]);
  });

  it("opens config classes over lines", () => {
    expect(
      values("config.p = ParallelismConfig(\n    a=1,\n    b=[2, 3],\n)\nconfig.ac = FullAC.Config()\n"),
    ).toMatchObject({
      "p.a": [1, 2],
      "p.b": [[2, 3], 3],
      ac: ["FullAC.Config()", 5],
    });
  });
});

describe("patterns and layouts", () => {
  it("are read back", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 60 }), (values) => {
        expect(readListPattern(listPattern(values), values.length)).toEqual(values);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 12 }), fc.nat(2), (counts, mtp) => {
        const stages = readLayout(writeLayout(counts, mtp));
        expect(typeof stages === "string" ? stages : stages.map(({ layers }) => layers)).toEqual(counts);
      }),
    );
  });

  it("are read in Megatron's own spellings", () => {
    expect(readListPattern("([1]*3+[0])*2", 8)).toEqual([1, 1, 1, 0, 1, 1, 1, 0]);
    expect(readListPattern("[0,1]*2", 4)).toEqual([0, 1, 0, 1]);
    expect(readListPattern("2", 4)).toEqual([1, 0, 1, 0]);
    expect(readListPattern("[0]*3", 4)).toBeNull();
    expect(readListPattern("import os", 4)).toBeNull();
    const stages = readLayout("E|(t|)*3,m|m||L");
    expect(typeof stages === "string" ? stages : stages.map(({ layers, mtp }) => [layers, mtp])).toEqual([
      [0, 0],
      [1, 0],
      [1, 0],
      [1, 0],
      [0, 1],
      [0, 1],
      [0, 0],
      [0, 0],
    ]);
    expect(readLayout("Et*2|x|L")).toMatch(/"x" is no part/);
    expect(readLayout("t|L")).toMatch(/begins with the embedding/);
  });
});
