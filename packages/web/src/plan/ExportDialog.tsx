// What leaves the page: the run file that the command line reads, the table, and the files of a training engine.

import { useEffect, useRef, useState } from "preact/hooks";
import { findingsOf, reportError } from "../app/errors.ts";
import { useTask } from "../compute/client.ts";
import type { PlanRow } from "../compute/planRow.ts";
import { Findings } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { Select } from "../design/Choice.tsx";
import { Field, TextInput } from "../design/Field.tsx";
import { saveText } from "../design/saveFile.ts";
import { unpicked } from "../search/picked.ts";
import type { RunFile } from "../state/runFile.ts";
import { modelText } from "../state/runText.ts";
import { store } from "../state/store.ts";
import { withPlan } from "./limits.ts";
import { rowsCsv } from "./rowsCsv.ts";

export function ExportDialog(props: {
  readonly run: RunFile | null;
  readonly rows: readonly PlanRow[];
  readonly onClose: () => void;
}) {
  const { run, rows, onClose } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const stem =
    run === null
      ? "plan"
      : modelText(run)
          .replaceAll(/[^\w.-]+/g, "-")
          .toLowerCase();
  return (
    <dialog ref={dialog} class="dialog" aria-label="Export" onClose={onClose}>
      <div class="dialog-body stack">
        <div class="row">
          <h2>Export</h2>
          <span class="end">
            <Button kind="icon" label="Close" onClick={() => dialog.current?.close()}>
              ✕
            </Button>
          </span>
        </div>
        <div class="row">
          <Button disabled={run === null} onClick={() => run !== null && void saveYaml(run, `${stem}.yaml`)}>
            Run file (YAML)
          </Button>
          <Button
            disabled={run === null}
            onClick={() =>
              run !== null && saveText(`${JSON.stringify(run, null, 2)}\n`, `${stem}.json`, "application/json")
            }
          >
            Run file (JSON)
          </Button>
          <Button
            disabled={rows.length === 0}
            onClick={() => saveText(rowsCsv(rows), `${stem}-strategies.csv`, "text/csv")}
          >
            Table (CSV)
          </Button>
        </div>
        <p class="dim">
          The run file is what <code>meshwright predict</code>, <code>plan</code> and <code>export</code> read.
        </p>
        {run === null ? null : <EngineFilesPart run={run} onClose={() => dialog.current?.close()} />}
      </div>
    </dialog>
  );
}

async function saveYaml(run: RunFile, name: string): Promise<void> {
  try {
    const { stringify } = await import("yaml");
    saveText(`# Written by Meshwright. meshwright predict ${name}\n${stringify(run)}`, name, "application/yaml");
  } catch (error) {
    reportError(error, "The run file was not written");
  }
}

/** Holds the search to what the engine can run, and lets go of a strategy that it cannot. */
function searchFor(engine: string, onClose: () => void): void {
  store.edit(`only ${engine}`, (run) => withPlan(unpicked(run), { ...run.plan, engine }));
  onClose();
}

function EngineFilesPart({ run, onClose }: { readonly run: RunFile; readonly onClose: () => void }) {
  const { value: catalogue } = useTask("catalogue", {});
  const asked = run.plan?.["engine"];
  const [engine, setEngine] = useState(typeof asked === "string" ? asked : "megatron");
  const [launcher, setLauncher] = useState("");
  const [image, setImage] = useState("");
  const engineName = catalogue?.engines.find((name) => name === engine);
  const launcherName = catalogue?.launchers.find((name) => name === launcher) ?? null;
  const { value, error } = useTask(
    "engineFiles",
    engineName === undefined ? null : { run, engine: engineName, launcher: launcherName, image },
  );
  const findings = findingsOf(error);
  return (
    <div class="stack">
      <h3>Configuration of a training engine</h3>
      <Field label="engine">
        {(id) => (
          <Select
            id={id}
            value={engine}
            onChange={setEngine}
            options={(catalogue?.engines ?? []).map((name) => ({ value: name, label: name }))}
          />
        )}
      </Field>
      <Field label="launch file">
        {(id) => (
          <Select
            id={id}
            value={launcher}
            onChange={setLauncher}
            options={[
              { value: "", label: "none" },
              ...(catalogue?.launchers ?? []).map((name) => ({ value: name, label: name })),
            ]}
          />
        )}
      </Field>
      {launcher === "jobset" || launcher === "trainjob" ? (
        <Field label="container image">
          {(id) => <TextInput id={id} value={image} onCommit={setImage} placeholder="registry/name:tag" />}
        </Field>
      ) : null}
      {findings !== null ? (
        <>
          <Findings title={`${engine} cannot take this job as it is`} findings={findings} />
          <div>
            <Button onClick={() => searchFor(engine, onClose)}>Search what {engine} can run</Button>
          </div>
        </>
      ) : error !== undefined ? (
        <Findings findings={[{ path: "", message: String((error as Error)?.message ?? error) }]} />
      ) : (
        <ul class="files">
          {value?.files.map(({ path, text }) => (
            <li key={path}>
              <code>{path}</code>
              <span class="dim">{text.split("\n").length} lines</span>
              <Button
                kind="quiet"
                onClick={() =>
                  void navigator.clipboard
                    .writeText(text)
                    .catch((failure: unknown) => reportError(failure, "The file was not copied"))
                }
              >
                Copy
              </Button>
              <Button kind="quiet" onClick={() => saveText(text, path.split("/").at(-1) ?? path)}>
                Save
              </Button>
            </li>
          ))}
        </ul>
      )}
      {value !== undefined && findings === null ? (
        <details class="notes">
          <summary>{value.notes.length} notes</summary>
          <ul>
            {value.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      ) : null}
    </div>
  );
}
