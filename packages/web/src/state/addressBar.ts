// Keeps the address bar and the store in step: edits replace the address, a change of page adds an entry, and a link pasted into the bar opens
// as an edit that undo takes back. Entries that this page made carry a mark, so that "back" changes the page and never the job.

import { effect } from "@preact/signals";
import { reportError } from "../app/errors.ts";
import { isPage } from "../app/pages.ts";
import { packState, readAddress, unpackState, writeAddress } from "./link.ts";
import { exampleRun } from "./runFile.ts";
import { store } from "./store.ts";

const DELAY_MS = 150;
const mark = { meshwright: true };

/** Loads what the address says, then follows both sides. Resolves when the first state stands. */
export async function startAddressBar(): Promise<void> {
  await openAddress(true);
  window.addEventListener("popstate", (event) => {
    if ((event.state as { meshwright?: unknown } | null)?.meshwright === true) {
      const { page } = readAddress(location.hash, "plan");
      if (isPage(page)) store.page.value = page;
      return;
    }
    void openAddress(false);
  });
  let timer = 0;
  effect(() => {
    // Read here, so that the effect follows them.
    store.run.value;
    store.views.value;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void replaceAddress(), DELAY_MS);
  });
}

export function showPage(page: string): void {
  if (store.page.peek() === page) return;
  store.page.value = page;
  const { payload } = readAddress(location.hash, "plan");
  history.pushState(mark, "", writeAddress(page, payload));
  void replaceAddress();
}

/** The address of this moment, for a person to share. */
export async function currentLink(): Promise<string> {
  await replaceAddress();
  return location.href;
}

async function replaceAddress(): Promise<void> {
  const run = store.run.peek();
  const views = store.views.peek();
  const isPlain = run === exampleRun && Object.keys(views).length === 0;
  const payload = isPlain ? null : await packState({ run, views });
  // Two edits may pack at once: the later one stands.
  if (run !== store.run.peek() || views !== store.views.peek()) return;
  history.replaceState(mark, "", writeAddress(store.page.peek(), payload));
}

/** @param first at the start there is nothing to go back to. A link that cannot be read changes nothing and says why. */
async function openAddress(first: boolean): Promise<void> {
  const address = readAddress(location.hash, "plan");
  try {
    const state = await unpackState(address);
    if (state !== null && first) store.reset(state);
    else if (state !== null) store.open("open link", state);
  } catch (error) {
    reportError(error, "The link was not opened");
  }
  if (isPage(address.page)) store.page.value = address.page;
  else if (address.page !== "plan")
    reportError(new Error(`There is no page "${address.page}"`), "The link was not opened");
  await replaceAddress();
}
