// The frame: navigation, undo, share, theme; the page; messages.

import { Button } from "../design/Button.tsx";
import { currentLink, showPage } from "../state/addressBar.ts";
import { store } from "../state/store.ts";
import { CommandList, openCommandList } from "./CommandList.tsx";
import { addCommands, keysText } from "./commands.ts";
import { reportError } from "./errors.ts";
import { JobLine } from "./JobLine.tsx";
import { PageFrame } from "./PageFrame.tsx";
import { PageLink } from "./PageLink.tsx";
import { pages } from "./pages.ts";
import { saveReport } from "./saveReport.ts";
import { Toasts } from "./Toasts.tsx";
import { nextTheme } from "./theme.ts";
import { notify } from "./toasts.ts";

export function App() {
  const { undoLabel, redoLabel, theme, page } = store;
  const themeSign = { auto: "◐", light: "○", dark: "●" }[theme.value];
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("page")?.focus()}>
        Skip to the page
      </button>
      <header class="topbar">
        <PageLink class="brand" page="plan" title="Meshwright: plan">
          <img src="./icon.svg" alt="" />
          <span>Meshwright</span>
        </PageLink>
        <nav class="tabs" aria-label="Pages">
          {pages.map(({ id, title, summary }) => (
            <PageLink key={id} page={id} title={summary} current={page.value === id}>
              {title}
            </PageLink>
          ))}
        </nav>
        <div class="end">
          <Button
            kind="icon"
            label={undoLabel.value === null ? "Nothing to undo" : `Undo ${undoLabel.value} (${keysText("mod+z")})`}
            disabled={undoLabel.value === null}
            onClick={store.undo}
          >
            ↶
          </Button>
          <Button
            kind="icon"
            label={
              redoLabel.value === null ? "Nothing to redo" : `Redo ${redoLabel.value} (${keysText("mod+shift+z")})`
            }
            disabled={redoLabel.value === null}
            onClick={store.redo}
          >
            ↷
          </Button>
          <Button kind="icon" label={`Theme: ${theme.value}`} onClick={nextTheme}>
            {themeSign}
          </Button>
          <span class="wide-only">
            <Button kind="quiet" label="Commands and keys" onClick={openCommandList}>
              <kbd>{keysText("mod+k")}</kbd>
            </Button>
          </span>
          <Button onClick={share}>Share</Button>
        </div>
      </header>
      {page.value === "plan" ? null : <JobLine />}
      <PageFrame />
      <Toasts />
      <CommandList />
    </>
  );
}

async function share(): Promise<void> {
  try {
    const link = await currentLink();
    await navigator.clipboard.writeText(link);
    notify({ kind: "done", title: `Link copied, ${link.length} characters: it holds the whole job` });
  } catch {
    notify({ kind: "note", title: "The address bar holds the link: this browser does not let a page copy it" });
  }
}

/** Commands that are there on every page. */
export function addAppCommands(): void {
  addCommands([
    ...pages.map(({ id, title, keys }) => ({
      id: `page.${id}`,
      group: "Page",
      title,
      keys,
      run: () => showPage(id),
    })),
    { id: "app.undo", group: "App", title: "Undo", keys: "mod+z", run: store.undo },
    { id: "app.redo", group: "App", title: "Redo", keys: "mod+shift+z", run: store.redo },
    {
      id: "app.share",
      group: "App",
      title: "Copy a link to this state",
      keys: "mod+shift+c",
      run: () => void share().catch((error: unknown) => reportError(error, "The link was not copied")),
    },
    { id: "app.theme", group: "App", title: "Change theme: auto, light, dark", keys: "shift+t", run: nextTheme },
    { id: "app.report", group: "App", title: "Save a report of the job (HTML)", run: () => void saveReport() },
    { id: "app.print", group: "App", title: "Print this page", run: () => window.print() },
    { id: "app.commands", group: "App", title: "Commands and keys", keys: "mod+k", run: openCommandList },
    { id: "app.help", group: "App", title: "Show keys", keys: "?", run: openCommandList },
  ]);
}
