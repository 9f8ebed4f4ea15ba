// Starts the app: theme first, so that nothing flashes; then the state that the address holds; then the frame. Workers start beside it.

import "./design/tokens.css";
import "./design/base.css";
import "./design/controls.css";
import "./design/blocks.css";
import "./app/app.css";
import { render } from "preact";
import { App, addAppCommands } from "./app/App.tsx";
import { listenToKeys } from "./app/commands.ts";
import { watchErrors } from "./app/errors.ts";
import { acceptDrops } from "./app/jobFiles.ts";
import { startTheme } from "./app/theme.ts";
import { warmWorkers } from "./compute/client.ts";
import { startSearching } from "./search/searchState.ts";
import { startAddressBar } from "./state/addressBar.ts";

const root = document.getElementById("app");
if (root === null) throw new Error("index.html has an element #app");

watchErrors();
startTheme();
warmWorkers();
addAppCommands();
listenToKeys(document);
acceptDrops(document);
await startAddressBar();
render(<App />, root);
startSearching();
