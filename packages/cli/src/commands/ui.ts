// `meshwright ui`: serves the web app on this machine and opens it. Until Ctrl-C.

import { spawn } from "node:child_process";
import type { AddressInfo } from "node:net";
import { InputError } from "@meshwright/core/units";
import type { DefineCommand } from "../main.ts";
import { builtPage, pageServer } from "../ui/server.ts";

const examples = `
Examples:
  meshwright ui
  meshwright ui --port 8080 --no-open

The page computes in the browser; this only serves its files, and only to this machine unless --host says otherwise.`;

interface Options {
  readonly port: string;
  readonly host: string;
  readonly open: boolean;
}

export const define: DefineCommand = (command, io) => {
  command
    .option("--port <n>", "port to listen on; 0 takes any free one", "4173")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--no-open", "do not open a browser")
    .addHelpText("after", examples);
  command.action(async (options: Options) => {
    const port = readPort(options.port);
    const server = pageServer(builtPage());
    await new Promise<void>((listening, fail) => {
      server.once("error", (error: NodeJS.ErrnoException) => fail(listenError(error, options)));
      server.listen(port, options.host, listening);
    });
    const { port: taken } = server.address() as AddressInfo; // it listens on a port, not on a pipe
    const host = options.host.includes(":") ? `[${options.host}]` : options.host;
    const address = `http://${host}:${taken}/`;
    io.out(address);
    io.err(io.paint.dim("Ctrl-C ends it"));
    if (options.open) openBrowser(address);
    await new Promise<void>((closed) => {
      const close = () => {
        server.close(() => closed());
        server.closeAllConnections();
      };
      process.once("SIGINT", close);
      process.once("SIGTERM", close);
    });
  });
};

function readPort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InputError({ path: "--port", message: `Expected a port from 0 to 65535, got "${text}"` });
}

function listenError(error: NodeJS.ErrnoException, { port, host }: Options): unknown {
  const at = `${host}:${port}`;
  if (error.code === "EADDRINUSE")
    return new InputError({ path: "--port", message: `${at} is in use`, hint: "use --port 0 for any free port" });
  if (error.code === "EACCES")
    return new InputError({
      path: "--port",
      message: `${at} is not allowed to this user`,
      hint: "use a port above 1023",
    });
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND")
    return new InputError({ path: "--host", message: `"${host}" is no address of this machine` });
  return error;
}

/** As the system opens addresses; without a desktop nothing happens, and the address stands in the terminal. */
function openBrowser(address: string): void {
  const [program, ...args] =
    process.platform === "darwin"
      ? ["open", address]
      : process.platform === "win32"
        ? ["cmd", "/c", "start", "", address]
        : ["xdg-open", address];
  const child = spawn(program!, args, { stdio: "ignore", detached: true }); // every list above has a program
  child.on("error", () => {});
  child.unref();
}
