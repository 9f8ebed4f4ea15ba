export * from "./dtype.ts";
export * from "./errors.ts";
export * from "./format.ts";
export * from "./parse.ts";
export * from "./spelling.ts";
