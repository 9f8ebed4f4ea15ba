import { expect, test } from "vitest";
import { commandOf } from "./command.ts";

test("a run file as a command: plain fields are options, descriptions are set as values", () => {
  expect(
    commandOf(
      {
        model: "llama-3.1-8b",
        cluster: { device: { base: "h100_sxm", tdp: 500 }, devices: 8 },
        workload: { seq: 8192, global_batch: 64 },
        strategy: { tp: 2, sequence_parallel: true, recompute: { kind: "full" } },
        software: "megatron-core",
      },
      "predict",
    ),
  ).toBe(
    `npx meshwright predict --model llama-3.1-8b --set 'cluster={"device":{"base":"h100_sxm","tdp":500},"devices":8}' --software megatron-core --seq 8192 --global-batch 64 --tp 2 --sequence-parallel true --set 'strategy.recompute={"kind":"full"}'`,
  );
});

test("quotes names for a shell", () => {
  expect(commandOf({ name: "it's mine", model: "m", cluster: "c", workload: {} }, "predict")).toContain(
    `--name 'it'\\''s mine'`,
  );
});
