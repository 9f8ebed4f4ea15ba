// `meshwright model`: what a model is, from a config file or the catalogue.

import { describeModel, type ModelDescription } from "@meshwright/core/model";
import { modelReport, type ReportStyle } from "@meshwright/core/report";
import { modelFromSource } from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import { fileSources } from "../files.ts";
import type { DefineCommand } from "../main.ts";

const examples = `
Examples:
  meshwright model llama-3.1-405b
  meshwright model ./config.json --seq 32768
  meshwright model deepseek-v3 --json`;

export const define: DefineCommand = (command, io) => {
  command
    .argument("<model>", "name of the catalogue, config.json, or a folder that holds one")
    .option("--seq <n>", "sequence length for FLOPs and KV figures (default: the model's own, at most 8192)")
    .option("--json", "print as JSON")
    .addHelpText("after", examples);
  command.action((source: string, options: { readonly json?: boolean; readonly seq?: string }) => {
    const seqLen = options.seq === undefined ? undefined : Number(options.seq);
    if (seqLen !== undefined && (!Number.isSafeInteger(seqLen) || seqLen < 1)) {
      throw new InputError({ path: "--seq", message: `Expected a whole number of at least 1, got "${options.seq}"` });
    }
    const model = modelFromSource(source, { sources: fileSources([io.cwd]) });
    const description = describeModel(model, seqLen === undefined ? {} : { seqLen });
    const style: ReportStyle = { paint: io.paint, width: io.width, verbose: true };
    io.out(options.json === true ? JSON.stringify(modelJson(description), null, 2) : modelReport(description, style));
  });
};

/** Documented in docs/json-schema.md. */
function modelJson(d: ModelDescription): unknown {
  return {
    format: "meshwright.model",
    version: 1,
    name: d.name,
    family: d.family,
    architecture: d.architecture,
    parameters: d.parameters,
    flops_per_token: {
      seq: d.flopsPerToken.seqLen,
      causal: d.flopsPerToken.causal,
      noncausal: d.flopsPerToken.noncausal,
      six_n: d.flopsPerToken.sixN,
    },
    kv_bytes_per_token: d.kvBytesPerToken,
    kv_cache_bytes: d.kvCacheBytes,
    layers: d.layers.map((row) => ({
      stack: row.stack,
      count: row.numLayers,
      at: row.at,
      mixer: row.mixer,
      ffn: row.ffn,
      parameters: row.parametersEach,
      active_parameters: row.activeParametersEach,
    })),
    ...(d.extra === undefined ? {} : { extra: d.extra }),
    notes: d.notes,
  };
}
