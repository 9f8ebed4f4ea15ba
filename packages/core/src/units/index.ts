export * from "./dtype.ts";
export * from "./errors.ts";
