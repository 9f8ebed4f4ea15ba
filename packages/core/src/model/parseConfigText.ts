// Configs are written by Python's json module, which knows NaN and Infinity; JSON.parse does not. They appear in keys that
// carry no shape (`time_step_limit`), so they become null outside of strings.

import { InputError } from "../units/errors.ts";

/** Parses the text of a config.json; throws InputError with the line of a syntax error. */
export function parseConfigText(text: string, path = "config.json"): unknown {
  const strict = text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) =>
    token.startsWith('"') ? token : "null",
  );
  try {
    return JSON.parse(strict) as unknown;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new InputError({ path, message: `Not valid JSON: ${message}` });
  }
}
