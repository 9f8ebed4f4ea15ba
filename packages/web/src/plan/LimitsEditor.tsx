// What the search minimises and what it may choose: objective, engine, token budget, limits of dimensions.

import { useState } from "preact/hooks";
import { Button } from "../design/Button.tsx";
import { Segments, Select } from "../design/Choice.tsx";
import { Field, TextInput } from "../design/Field.tsx";
import type { RunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";
import { dimensions, type Limit, type LimitKind, limitsOf, limitText, withLimits, withPlan } from "./limits.ts";
import { withChange } from "./WorkloadFields.tsx";

type Objective = "time" | "cost" | "energy";

export function LimitsEditor({ run, engines }: { readonly run: RunFile; readonly engines: readonly string[] }) {
  const plan = run.plan ?? {};
  const objective = (["time", "cost", "energy"] as const).find((each) => each === plan["objective"]) ?? "time";
  const engine = typeof plan["engine"] === "string" ? plan["engine"] : "";
  const set = (label: string, change: Readonly<Record<string, unknown>>) =>
    store.edit(label, (before) => withPlan(before, withChange(before.plan ?? {}, change)));
  const limits = limitsOf(run);
  return (
    <>
      <div class="field">
        <span class="label">least</span>
        <Segments<Objective>
          label="What is least in the best plan"
          value={objective}
          onChange={(value) => set("objective", { objective: value === "time" ? undefined : value })}
          options={[
            { value: "time", label: "Time", help: "Seconds of a step" },
            { value: "cost", label: "Cost", help: "Dollars of a token" },
            { value: "energy", label: "Energy", help: "Joules of a token" },
          ]}
        />
      </div>
      <Field label="engine" help="Only strategies that this engine can run">
        {(id) => (
          <Select
            id={id}
            value={engine}
            onChange={(value) => set("engine", { engine: value === "" ? undefined : value })}
            options={[{ value: "", label: "any" }, ...engines.map((name) => ({ value: name, label: name }))]}
          />
        )}
      </Field>
      <Field label="token budget" help="Tokens of the whole run, such as 15T: how long and how dear it is">
        {(id) => (
          <TextInput
            id={id}
            value={plan["tokens"] === undefined ? "" : String(plan["tokens"])}
            placeholder="none"
            onCommit={(text) => set("token budget", { tokens: text.trim() === "" ? undefined : text.trim() })}
          />
        )}
      </Field>
      {limits.length > 0 ? (
        <ul class="chips" aria-label="Limits">
          {limits.map((limit) => (
            <li key={`${limit.kind}${limit.name}${limit.value}`} class="chip">
              {limitText(limit)}
              <button
                type="button"
                aria-label={`Remove limit ${limitText(limit)}`}
                onClick={() =>
                  store.edit("limits", (before) =>
                    withLimits(
                      before,
                      limitsOf(before).filter((each) => limitText(each) !== limitText(limit)),
                    ),
                  )
                }
              >
                ✕
              </button>
            </li>
          ))}
        </ul>
      ) : null}
      <NewLimit />
    </>
  );
}

const kinds: readonly { readonly value: LimitKind; readonly label: string }[] = [
  { value: "fix", label: "is" },
  { value: "max", label: "at most" },
  { value: "min", label: "at least" },
  { value: "forbid", label: "not" },
  { value: "open", label: "every value" },
];

function NewLimit() {
  const [name, setName] = useState("tp");
  const [kind, setKind] = useState<LimitKind>("fix");
  const [value, setValue] = useState("");
  const isSize = dimensions.find((each) => each.name === name)?.isSize ?? false;
  const offered = kinds.filter((each) => isSize || (each.value !== "max" && each.value !== "min"));
  const chosen = offered.some((each) => each.value === kind) ? kind : "fix";
  const needsValue = chosen !== "open" && chosen !== "forbid";
  const add = () => {
    if (needsValue && value.trim() === "") return;
    const limit: Limit = { kind: chosen, name, value: chosen === "open" ? "" : value.trim() };
    const isSame = (other: Limit) =>
      other.kind === limit.kind &&
      other.name === limit.name &&
      (limit.kind !== "forbid" || other.value === limit.value);
    store.edit("limits", (before) =>
      withLimits(before, [...limitsOf(before).filter((other) => !isSame(other)), limit]),
    );
    setValue("");
  };
  return (
    <div class="new-limit">
      <Select
        label="Dimension"
        value={name}
        onChange={setName}
        options={dimensions.map((each) => ({ value: each.name, label: each.name }))}
      />
      <Select label="How it is limited" value={chosen} onChange={setKind} options={offered} />
      <input
        class="input"
        type="text"
        aria-label="Value of the limit"
        placeholder={needsValue ? "8" : chosen === "forbid" ? "at all" : "-"}
        disabled={chosen === "open"}
        value={value}
        onInput={(event) => setValue(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && add()}
      />
      <Button onClick={add} disabled={needsValue && value.trim() === ""}>
        Add
      </Button>
    </div>
  );
}
