// Files and texts that hold a job or a part of it: a run file (YAML or JSON), a Hugging Face config.json, an inline model. What it is, is seen from its
// fields. It is judged by the library before anything is put in place, so a file that cannot be used changes nothing and says why.

import { InputError } from "@meshwright/core/units";
import { compute } from "../compute/client.ts";
import { showPage } from "../state/addressBar.ts";
import { isSection, type RunFile, readRunFile } from "../state/runFile.ts";
import { store } from "../state/store.ts";
import { reportError } from "./errors.ts";
import { notify } from "./toasts.ts";

/** A config.json has some kB; a trace or a checkpoint dropped by mistake is not read to the end. */
const MOST_BYTES = 2 * 2 ** 20;

export function openJobFile(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = ".json,.yaml,.yml";
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file !== undefined) void takeJobFile(file);
  });
  input.click();
}

export async function takeJobFile(file: File): Promise<boolean> {
  if (file.size > MOST_BYTES) {
    const error = new InputError({
      path: file.name,
      message: `The file has ${(file.size / 2 ** 20).toFixed(1)} MiB: a config.json or a run file has a few kB`,
      hint: "traces are opened on the Timeline page",
    });
    reportError(error, `"${file.name}" was not opened`);
    return false;
  }
  try {
    return await takeJobText(await file.text(), file.name);
  } catch (error) {
    reportError(error, `"${file.name}" was not opened`);
    return false;
  }
}

/** @returns whether it was put in place. */
export async function takeJobText(text: string, name: string): Promise<boolean> {
  try {
    const value = await parseText(text, name);
    const run = runFrom(value, name);
    const facts = await compute("jobFacts", run);
    const wrong = facts.findings.filter(({ path }) => /^(model|cluster)\b/.test(path));
    if ((facts.model === null || facts.cluster === null) && wrong.length > 0) throw new InputError(wrong);
    store.edit(`open ${name}`, () => run);
    showPage("plan");
    notify({
      kind: "done",
      title: `${facts.model?.name ?? "The job"} opened from ${name}`,
      action: { label: "Undo", run: store.undo },
    });
    return true;
  } catch (error) {
    reportError(error, `"${name}" was not opened`);
    return false;
  }
}

async function parseText(text: string, name: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch (jsonError) {
    const looksJson = /^\s*[[{]/.test(text) || /\.json$/i.test(name);
    if (looksJson)
      throw new InputError({
        path: name,
        message: `It is no valid JSON: ${(jsonError as Error).message}`,
        hint: "a file that was cut or edited by hand often lacks a bracket or has a comma too many",
      });
  }
  const { parse } = await import("yaml");
  try {
    return parse(text, { logLevel: "error" });
  } catch (error) {
    throw new InputError({ path: name, message: `It is no valid YAML: ${(error as Error).message.split("\n")[0]}` });
  }
}

/** A run file whole, or the run of the store with another model. */
function runFrom(value: unknown, name: string): RunFile {
  if (!isSection(value))
    throw new InputError({
      path: name,
      message: "It holds neither a model's config nor a run file",
      hint: "give an object with fields",
    });
  if (value["model"] !== undefined && (value["cluster"] !== undefined || value["workload"] !== undefined)) {
    if (typeof value["model"] === "string" && /[/\\]|\.json$/.test(value["model"]))
      throw new InputError({
        path: "model",
        message: `The run file names the file "${value["model"]}", which a page cannot read`,
        hint: "drop that config.json first, or put the model's fields in its place",
      });
    return readRunFile(value);
  }
  const { strategy, name: _, ...rest } = store.run.peek();
  const precision = strategy?.["precision"];
  return { ...rest, model: value, ...(precision === undefined ? {} : { strategy: { precision } }) };
}

/** Files dropped anywhere, unless a part of a page took them. */
export function acceptDrops(target: Document): void {
  let depth = 0;
  const mark = (on: boolean) => target.body.classList.toggle("dropping", on);
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") === true;
  target.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) mark(++depth > 0);
  });
  target.addEventListener("dragleave", (event) => {
    if (hasFiles(event)) mark(--depth > 0);
  });
  target.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  target.addEventListener("drop", (event) => {
    depth = 0;
    mark(false);
    if (event.defaultPrevented) return;
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file !== undefined) void takeJobFile(file);
  });
}
