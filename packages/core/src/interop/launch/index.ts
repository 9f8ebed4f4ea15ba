// Launchers: a program for torchrun in, the files that start it on a cluster out.

export * from "./types.ts";
