// The page that is shown: loads it on first use, keeps its failure to itself, and puts the focus on it after a change of page.

import { Component, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Empty } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { store } from "../state/store.ts";
import { loadPage, pages } from "./pages.ts";

export function PageFrame() {
  const id = store.page.value;
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const title = pages.find((page) => page.id === id)?.title ?? "";
  // The focus moves when the page changes
  useEffect(() => {
    document.title = `${title} - Meshwright`;
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
  }, [id]);
  return (
    <main ref={main} id="page" class="page" tabIndex={-1} aria-label={title} style={{ outline: "none" }}>
      <h1 class="hidden-text">{title}</h1>
      <Guard key={id}>
        <LoadedPage id={id} />
      </Guard>
    </main>
  );
}

const loaded = new Map<string, ComponentType>();

function LoadedPage({ id }: { readonly id: string }) {
  const [state, setState] = useState<{ readonly failed?: unknown; readonly done: boolean }>({ done: loaded.has(id) });
  useEffect(() => {
    if (state.done) return;
    loadPage(id).then(
      (module) => {
        loaded.set(id, module.default);
        setState({ done: true });
      },
      (failed: unknown) => setState({ done: false, failed }),
    );
  }, [id, state.done]);
  if (state.failed !== undefined) throw state.failed;
  const Page = loaded.get(id);
  return Page === undefined ? <p class="dim">Loading…</p> : <Page />;
}

/** A page that fails takes neither the job nor the other pages with it. */
class Guard extends Component<{ readonly children: ComponentChildren }, { readonly error: unknown }> {
  override state = { error: undefined as unknown };

  static override getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidCatch(error: unknown) {
    console.error(error);
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <Empty title="This page failed">
        <span>{error instanceof Error ? error.message : String(error)}</span>
        <span>This is a fault of Meshwright, not of your input. Your job is kept, and the other pages work.</span>
        <Button onClick={() => this.setState({ error: undefined })}>Try again</Button>
      </Empty>
    );
  }
}
