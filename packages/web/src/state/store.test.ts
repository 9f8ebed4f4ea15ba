import { expect, test } from "vitest";
import { createStore } from "./store.ts";

const withBatch = (batch: number) => (run: ReturnType<typeof createStore>["run"]["value"]) => ({
  ...run,
  workload: { ...run.workload, global_batch: batch },
});

test("undo takes an edit back and redo brings it again", () => {
  const store = createStore(() => 0);
  const before = store.run.value;
  store.edit("batch", withBatch(64));
  expect(store.run.value.workload["global_batch"]).toBe(64);
  expect(store.undoLabel.value).toBe("batch");
  store.undo();
  expect(store.run.value).toBe(before);
  expect([store.undoLabel.value, store.redoLabel.value]).toEqual([null, "batch"]);
  store.redo();
  expect(store.run.value.workload["global_batch"]).toBe(64);
});

test("edits of one key that follow closely are one step; later ones and other keys are not", () => {
  let nowMs = 0;
  const store = createStore(() => nowMs);
  for (const batch of [8, 16, 32]) {
    nowMs += 100;
    store.edit("batch", withBatch(batch), { mergeKey: "batch" });
  }
  nowMs += 5000;
  store.edit("batch", withBatch(64), { mergeKey: "batch" });
  store.edit("name", (run) => ({ ...run, name: "mine" }), { mergeKey: "name" });
  const seen = [];
  while (store.undoLabel.value !== null) {
    store.undo();
    seen.push(store.run.value.workload["global_batch"]);
  }
  expect(seen).toEqual([64, 32, 512]);
});

test("an edit that changes nothing is no step, and a new edit forgets what was undone", () => {
  const store = createStore(() => 0);
  store.edit("nothing", (run) => ({ ...run }));
  expect(store.undoLabel.value).toBeNull();
  store.edit("batch", withBatch(64));
  store.undo();
  store.edit("batch", withBatch(32));
  expect(store.redoLabel.value).toBeNull();
});

test("opening a link is one step that undo takes back", () => {
  const store = createStore(() => 0);
  store.open("open link", { run: { model: "llama-3.1-8b", cluster: "8xh100-sxm", workload: {} }, views: { plan: 1 } });
  expect(store.run.value.model).toBe("llama-3.1-8b");
  store.undo();
  expect(store.run.value.model).toBe("llama-3.1-70b");
});
