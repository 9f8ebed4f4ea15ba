// The report of the job that is shown, as a file: what `meshwright report` writes.

import { compute } from "../compute/client.ts";
import { saveText } from "../design/saveFile.ts";
import { currentRun } from "../search/currentRun.ts";
import { store } from "../state/store.ts";
import { reportError } from "./errors.ts";
import { notify } from "./toasts.ts";

export async function saveReport(): Promise<void> {
  try {
    const { name, html } = await compute("report", { run: currentRun.peek() ?? store.run.peek() });
    const file = `${name.replaceAll(/[^\w.-]+/g, "-")}.html`;
    saveText(html, file, "text/html");
    notify({ kind: "done", title: `Report saved as ${file}` });
  } catch (error) {
    reportError(error, "The report was not written");
  }
}
