import { describe, expect, it } from "vitest";
// @ts-expect-error: a plain script without types
import { missingEntries, platformOf } from "./completeLock.mjs";

describe("missingEntries()", () => {
  it("adds what a locked package names and the lock lacks, and only that", () => {
    const lock = {
      packages: {
        "": {},
        "node_modules/tool": {
          version: "2.0.0",
          dev: true,
          license: "MIT",
          optionalDependencies: { "tool-linux-x64-musl": "2.0.0", "tool-linux-x64-gnu": "2.0.0", fsevents: "~2.3.3" },
        },
        "node_modules/tool-linux-x64-gnu": { version: "2.0.0", optional: true },
      },
    };
    expect(missingEntries(lock)).toEqual({
      "node_modules/tool-linux-x64-musl": {
        version: "2.0.0",
        os: ["linux"],
        cpu: ["x64"],
        libc: ["musl"],
        dev: true,
        license: "MIT",
        optional: true,
      },
    });
  });
});

describe("platformOf()", () => {
  it("reads what the name states", () => {
    expect(platformOf("@biomejs/cli-darwin-arm64")).toEqual({ os: ["darwin"], cpu: ["arm64"] });
    expect(platformOf("@rolldown/binding-linux-arm-gnueabihf")).toEqual({
      os: ["linux"],
      cpu: ["arm"],
      libc: ["glibc"],
    });
    expect(platformOf("@typescript/lib")).toEqual({});
  });
});
