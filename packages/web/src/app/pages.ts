// The pages and their order. A page is a folder with an index.tsx whose default export is a component; the folder's name is its id and its place
// in the address. Folders are found by the build, so a page is shown as soon as its folder is there, and loaded when it is first opened.

import type { ComponentType } from "preact";

/** What a page folder's index.tsx exports. */
export interface PageModule {
  readonly default: ComponentType;
}

export interface PageInfo {
  readonly id: string;
  readonly title: string;
  /** Keys that open it. */
  readonly keys: string;
  /** One line for the command list. */
  readonly summary: string;
}

/** In the order of the navigation. */
const order: readonly PageInfo[] = [
  { id: "plan", title: "Plan", keys: "g p", summary: "Find the best strategy for a model on a cluster" },
  { id: "timeline", title: "Timeline", keys: "g t", summary: "Where the time of a step goes, span by span" },
  { id: "memory", title: "Memory", keys: "g m", summary: "What fills the devices, and which buffers live at the peak" },
  { id: "whatif", title: "What-if", keys: "g w", summary: "Change hardware and job, see the step change" },
  { id: "serving", title: "Serving", keys: "g s", summary: "Latency, throughput and queues of a served model" },
  {
    id: "learn",
    title: "Learn",
    keys: "g l",
    summary: "Each parallel dimension and schedule, explained by its own program",
  },
  { id: "accuracy", title: "Accuracy", keys: "g a", summary: "Predictions against measured rows" },
];

const modules = import.meta.glob<PageModule>("../*/index.tsx");

const loaderOf = (id: string): (() => Promise<PageModule>) | undefined => modules[`../${id}/index.tsx`];

/** Pages that are there. */
export const pages: readonly PageInfo[] = order.filter(({ id }) => loaderOf(id) !== undefined);

export function isPage(id: string): boolean {
  return pages.some((page) => page.id === id);
}

export async function loadPage(id: string): Promise<PageModule> {
  const load = loaderOf(id);
  if (load === undefined) throw new Error(`There is no page "${id}"`);
  return load();
}
