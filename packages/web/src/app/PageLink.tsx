// A link to a page of the app: a real address for new tabs, a change of page without loading otherwise.

import type { ComponentChildren } from "preact";
import { showPage } from "../state/addressBar.ts";
import { writeAddress } from "../state/link.ts";

export interface PageLinkProps {
  readonly page: string;
  readonly children: ComponentChildren;
  readonly title?: string | undefined;
  readonly class?: string;
  readonly current?: boolean;
}

export function PageLink({ page, children, title, class: className, current = false }: PageLinkProps) {
  const onClick = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    showPage(page);
  };
  return (
    <a
      class={className}
      href={writeAddress(page, null)}
      title={title}
      aria-current={current ? "page" : undefined}
      onClick={onClick}
    >
      {children}
    </a>
  );
}
