// The messages of toasts.ts on the page.

import { Button } from "../design/Button.tsx";
import { dismiss, toasts } from "./toasts.ts";

export function Toasts() {
  return (
    <section class="toast-region" aria-label="Messages">
      <ul class="toasts">
        {toasts.value.map(({ id, kind, title, findings = [], action }) => (
          <li key={id} class={`notice ${kind}`} role={kind === "error" ? "alert" : "status"}>
            <div class="stack">
              <strong>{title}</strong>
              {findings.length === 0 ? null : (
                <div class="findings">
                  {findings.map(({ path, message, hint }) => (
                    <div key={`${path}${message}`}>
                      {path === "" ? null : <span class="path">{path}: </span>}
                      {message}
                      {hint === undefined ? null : <span class="hint"> ({hint})</span>}
                    </div>
                  ))}
                </div>
              )}
              {action === undefined ? null : (
                <div>
                  <Button
                    onClick={() => {
                      action.run();
                      dismiss(id);
                    }}
                  >
                    {action.label}
                  </Button>
                </div>
              )}
            </div>
            <Button kind="icon" label="Close message" onClick={() => dismiss(id)}>
              ✕
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
