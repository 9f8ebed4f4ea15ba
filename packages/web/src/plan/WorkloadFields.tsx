// What one step processes, and in what: sequences, precision, framework.

import { formatCount, grouped } from "@meshwright/core/units";
import { type Option, Select } from "../design/Choice.tsx";
import { Field, NumberInput } from "../design/Field.tsx";
import { isSection, type RunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";

const precisions: readonly Option<string>[] = [
  { value: "bf16", label: "bf16" },
  { value: "fp16", label: "fp16" },
  { value: "fp8", label: "fp8" },
  { value: "fp8_block", label: "fp8, block scaling" },
  { value: "mxfp8", label: "mxfp8" },
  { value: "nvfp4", label: "nvfp4" },
  { value: "fp32", label: "fp32" },
];

export function WorkloadFields({ run, software }: { readonly run: RunFile; readonly software: readonly string[] }) {
  const { workload } = run;
  const seq = numberOf(workload["seq"]);
  const batch =
    numberOf(workload["global_batch"]) ??
    (seq === undefined ? undefined : divided(numberOf(workload["global_batch_tokens"]), seq));
  const set = (label: string, change: Readonly<Record<string, unknown>>) =>
    store.edit(label, (before) => ({ ...before, workload: withChange(before.workload, change) }), { mergeKey: label });
  const preset = isSection(run.software)
    ? String(run.software["preset"] ?? "megatron-core")
    : (run.software ?? "megatron-core");
  const precision = String(run.strategy?.["precision"] ?? "bf16");
  const numChanges = isSection(run.software) ? Object.keys(run.software).filter((key) => key !== "preset").length : 0;
  return (
    <>
      <Field label="sequence" help="Tokens of one sequence" remark={undefined}>
        {(id) => <NumberInput id={id} min={1} value={seq} onCommit={(value) => set("sequence", { seq: value })} />}
      </Field>
      <Field
        label="global batch"
        help="Sequences of one step"
        remark={seq === undefined || batch === undefined ? undefined : `${formatCount(seq * batch)} tokens a step`}
      >
        {(id) => (
          <NumberInput
            id={id}
            min={1}
            value={batch}
            onCommit={(value) => set("global batch", { global_batch: value, global_batch_tokens: undefined })}
          />
        )}
      </Field>
      <Field label="precision">
        {(id) => (
          <Select
            id={id}
            value={precision}
            options={precisions}
            onChange={(value) =>
              store.edit("precision", (before) => ({ ...before, strategy: { ...before.strategy, precision: value } }))
            }
          />
        )}
      </Field>
      <Field
        label="framework"
        help="What is fused, what overlaps, which kernels run"
        remark={numChanges > 0 ? `${numChanges} facts changed` : undefined}
      >
        {(id) => (
          <Select
            id={id}
            value={preset}
            options={software.map((name) => ({ value: name, label: name }))}
            onChange={(value) => store.edit("framework", (before) => ({ ...before, software: value }))}
          />
        )}
      </Field>
      {batch !== undefined && seq !== undefined && batch * seq >= 1e9 ? (
        <p class="dim">{grouped(batch * seq)} tokens in one step is very many</p>
      ) : null}
    </>
  );
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function divided(tokens: number | undefined, seq: number): number | undefined {
  return tokens === undefined ? undefined : tokens / seq;
}

/** Fields set to undefined go back to their default. */
export function withChange(
  section: Readonly<Record<string, unknown>>,
  change: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const next: Record<string, unknown> = { ...section };
  for (const [key, value] of Object.entries(change)) {
    if (value === undefined) delete next[key];
    else next[key] = value;
  }
  return next;
}
