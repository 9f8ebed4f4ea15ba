import { compare } from "./comparePipelines.ts";

console.log(compare(["1f1b", "interleaved", "zb-h1", "zb-v", "gpipe", "no-such-schedule"]).join("\n"));
