// A button that copies the command line that gives in a terminal what a card shows.

import { Button } from "../design/Button.tsx";
import { commandOf } from "../state/command.ts";
import type { RunFile } from "../state/runFile.ts";
import { notify } from "./toasts.ts";

export function CopyCommand({ run, verb }: { readonly run: RunFile; readonly verb: string }) {
  const command = commandOf(run, verb);
  return (
    <Button kind="quiet" label={shortened(command)} onClick={() => void copyCommand(command)}>
      Copy command
    </Button>
  );
}

const MOST_SHOWN = 160;

function shortened(command: string): string {
  return command.length > MOST_SHOWN ? `${command.slice(0, MOST_SHOWN - 3)}...` : command;
}

export async function copyCommand(command: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(command);
    notify({ kind: "done", title: "Command copied" });
  } catch {
    notify({
      kind: "note",
      title: "This browser does not let a page copy",
      findings: [{ path: "", message: command }],
    });
  }
}
