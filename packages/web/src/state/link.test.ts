import { InputError } from "@meshwright/core/units";
import { expect, test } from "vitest";
import { packState, readAddress, unpackState, writeAddress } from "./link.ts";
import { exampleRun } from "./runFile.ts";

const state = { run: { ...exampleRun, name: "Größe \u{1F9EE}" }, views: { plan: { sort: "step" } } };

const findingsOf = async (hash: string): Promise<string> => {
  try {
    await unpackState(readAddress(hash, "plan"));
    return "opened";
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.message;
  }
};

test("a state goes through a link unchanged, and the link is short and of plain letters", async () => {
  const payload = await packState(state);
  const hash = writeAddress("timeline", payload);
  expect(hash).toMatch(/^#\/timeline\/1\/[A-Za-z0-9_-]+$/);
  expect(hash.length).toBeLessThan(300);
  const address = readAddress(hash, "plan");
  expect(address.page).toBe("timeline");
  expect(await unpackState(address)).toEqual(state);
});

test("an address without a state names its page only", async () => {
  expect(readAddress("", "plan").page).toBe("plan");
  expect(await unpackState(readAddress("#/memory", "plan"))).toBeNull();
});

test("a link that was cut or changed is refused as damaged", async () => {
  const payload = await packState(state);
  for (const broken of [payload.slice(0, -9), `A${payload.slice(1)}`, "%%%", "", "AAAA"])
    expect(await findingsOf(`#/plan/1/${broken}`)).toContain("This link is damaged");
});

test("a link of another version names both versions", async () => {
  expect(await findingsOf("#/plan/7/abc")).toContain('This link is of version "7", and this page reads version 1');
});

test("a link whose state is no run file says which section is wrong", async () => {
  const payload = await packState({ run: { model: 3, clusters: "x" } as never, views: {} });
  const message = await findingsOf(`#/plan/1/${payload}`);
  expect(message).toContain('Unknown section "clusters" (did you mean "cluster")');
  expect(message).toContain('Missing required section "workload"');
  expect(message).toContain('Expected a text or a section with fields for "model"');
});

test("a payload that unpacks to more than a job can be is refused before it fills memory", async () => {
  const payload = await packState({ run: { ...exampleRun, name: "x".repeat(6e6) }, views: {} });
  expect(await findingsOf(`#/plan/1/${payload}`)).toContain("This link is damaged");
});
