// Splits the text of a Chrome trace into its events as it comes in, so that a file of gigabytes never is one string. Both forms are read: an object
// with `traceEvents`, and a bare array, which the format lets end anywhere. Other members of the object are skipped, but for the small ones that say
// who wrote it. What is not JSON is refused with the line and column where it stops being so.
//
// Source: "Trace Event Format" (Google), JSON Array Format and JSON Object Format.

import { InputError } from "../units/errors.ts";

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
const NEWLINE = 10;

/** Members kept as parsed values, when they are shorter than this. */
const kept: ReadonlySet<string> = new Set(["otherData", "distributedInfo", "schemaVersion"]);
const MOST_KEPT = 65_536;

type Place = "start" | "key" | "colon" | "value" | "afterValue" | "events" | "afterEvent" | "done";

export class TraceScanner {
  private readonly onEvent: (event: unknown, line: number) => void;
  private readonly label: string;
  readonly members = new Map<string, unknown>();
  numEvents = 0;
  private place: Place = "start";
  private isBareArray = false;
  private sawEvents = false;
  private key = "";
  /** Text of the piece that is being read, from earlier chunks. */
  private pending = "";
  private depth = 0;
  private inString = false;
  private escaped = false;
  private isLong = false;
  private line = 1;
  /** Line where the piece began. */
  private pieceLine = 1;
  private column = 0;

  /** @param label name of the file, for messages. */
  constructor(label: string, onEvent: (event: unknown, line: number) => void) {
    this.label = label;
    this.onEvent = onEvent;
  }

  push(text: string): void {
    let from = this.pending === "" ? -1 : 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === NEWLINE) {
        this.line++;
        this.column = 0;
      } else this.column++;
      if (this.depth > 0 || this.inString) {
        // Inside a piece: only its end matters.
        if (this.inString) {
          if (this.escaped) this.escaped = false;
          else if (code === BACKSLASH) this.escaped = true;
          else if (code === QUOTE) this.inString = false;
        } else if (code === QUOTE) this.inString = true;
        else if (code === OPEN_OBJECT || code === OPEN_ARRAY) this.depth++;
        else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) this.depth--;
        if (this.depth > 0 || this.inString) continue;
        this.finish(this.pending + text.slice(from, i + 1));
        this.pending = "";
        from = -1;
        continue;
      }
      if (code <= 32 || code === 0xfeff) {
        if (from >= 0) {
          this.finish(this.pending + text.slice(from, i));
          this.pending = "";
          from = -1;
        }
        continue;
      }
      // A bare word or number goes on until a sign.
      if (from >= 0 && code !== COMMA && code !== CLOSE_OBJECT && code !== CLOSE_ARRAY && code !== COLON) continue;
      if (from >= 0) {
        this.finish(this.pending + text.slice(from, i));
        this.pending = "";
        from = -1;
      }
      if (this.sign(code)) continue;
      from = i;
      this.pieceLine = this.line;
      if (code === QUOTE) this.inString = true;
      else if (code === OPEN_OBJECT || code === OPEN_ARRAY) this.depth = 1;
    }
    if (from < 0) return;
    this.isLong = this.isLong || (this.place === "value" && this.pending.length > MOST_KEPT);
    this.pending = this.isLong ? " " : this.pending + text.slice(from);
  }

  end(): void {
    if (this.place === "done") return;
    if (this.place === "start") throw this.refusal("The file is empty");
    if (this.isBareArray && this.pending === "") return;
    throw this.refusal(
      this.pending === "" ? "The file ends before the trace does" : "The file ends in the middle of an event",
      "it may have been cut while it was written or copied",
    );
  }

  /** Takes a structural sign; false: a piece begins here. */
  private sign(code: number): boolean {
    switch (this.place) {
      case "start":
        if (code === OPEN_ARRAY) {
          this.place = "events";
          this.isBareArray = true;
          this.sawEvents = true;
        } else if (code === OPEN_OBJECT) this.place = "key";
        else
          throw this.refusal(
            "This is not a Chrome trace: it must begin with { or [",
            "choose a JSON trace, or one packed by gzip",
          );
        return true;
      case "key":
        if (code === QUOTE) return false;
        if (code === CLOSE_OBJECT) return this.close();
        throw this.refusal(`Expected the name of a member, got "${String.fromCharCode(code)}"`);
      case "colon":
        if (code !== COLON) throw this.refusal(`Expected ":" after "${this.key}", got "${String.fromCharCode(code)}"`);
        this.place = "value";
        return true;
      case "value":
        if (this.key === "traceEvents") {
          if (code !== OPEN_ARRAY) throw this.refusal('"traceEvents" must be a list of events');
          this.place = "events";
          this.sawEvents = true;
          return true;
        }
        if (code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY)
          throw this.refusal(`"${this.key}" has no value`);
        return false;
      case "afterValue":
        if (code === COMMA) this.place = "key";
        else if (code === CLOSE_OBJECT) return this.close();
        else throw this.refusal(`Expected "," or "}" after "${this.key}", got "${String.fromCharCode(code)}"`);
        return true;
      case "events":
        if (code === OPEN_OBJECT) return false;
        if (code === CLOSE_ARRAY) return this.closeEvents();
        throw this.refusal(`Expected an event, got "${String.fromCharCode(code)}"`);
      case "afterEvent":
        if (code === COMMA) this.place = "events";
        else if (code === CLOSE_ARRAY) return this.closeEvents();
        else
          throw this.refusal(`Expected "," or "]" after event ${this.numEvents}, got "${String.fromCharCode(code)}"`);
        return true;
      case "done":
        throw this.refusal(`Nothing may follow the trace, got "${String.fromCharCode(code)}"`);
      default:
        return this.place satisfies never;
    }
  }

  private finish(piece: string): void {
    switch (this.place) {
      case "key":
        this.key = this.parse(piece) as string; // a piece that begins with a quote is a string
        this.place = "colon";
        return;
      case "value":
        if (kept.has(this.key) && !this.isLong) this.members.set(this.key, this.parse(piece));
        this.isLong = false;
        this.place = "afterValue";
        return;
      default:
        this.numEvents++;
        this.onEvent(this.parse(piece), this.pieceLine);
        this.place = "afterEvent";
    }
  }

  private parse(piece: string): unknown {
    try {
      return JSON.parse(piece);
    } catch (error) {
      const what = this.place === "events" ? `Event ${this.numEvents} is not JSON` : `"${this.key}" is not JSON`;
      throw new InputError({
        path: `${this.label}, line ${this.pieceLine}`,
        message: `${what}: ${error instanceof Error ? error.message : String(error)}`,
      });
    }
  }

  private close(): boolean {
    if (!this.sawEvents)
      throw this.refusal(
        'This is not a Chrome trace: it has no "traceEvents"',
        "choose the file that a profiler wrote",
      );
    this.place = "done";
    return true;
  }

  private closeEvents(): boolean {
    this.place = this.isBareArray ? "done" : "afterValue";
    this.key = "traceEvents";
    return true;
  }

  private refusal(message: string, hint?: string): InputError {
    return new InputError({
      path: `${this.label}, line ${this.line}, column ${this.column}`,
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
