// The model of a row: an inline description, completed from the command line of Megatron rows, whose tables hold only the main sizes. Where a table
// leaves main sizes out too, the published config of that name stands in, else the usual proportions; each leaves a note.

import { catalogueModel, importInline, type ModelSpec } from "../model/index.ts";
import { InputError } from "../units/errors.ts";
import { argsOf, child, count, flag, isRow, num, type Row, text } from "./rowReader.ts";

export function modelOfRow(row: Row, notes: string[]): ModelSpec | { readonly unsupported: string } {
  const stated = withoutBlanks(child(row, "model"));
  const name = text(stated, "name") ?? "unnamed model";
  const missing = ["layers", "hidden", "heads", "ffn"].filter(
    (key) => stated[key] === undefined && !isWidthless(stated, key),
  );
  const published = missing.length === 0 ? undefined : publishedModel(name, stated);
  if (published !== undefined) {
    notes.push(`${missing.join(", ")} not stated: the published config of "${published.name}"`);
    return published;
  }
  if (count(stated, "layers") === undefined || count(stated, "hidden") === undefined) {
    return { unsupported: `dimensions of model "${name}" are not stated` };
  }
  const seqLen = count(row, "seq_len");
  try {
    const fields = description(withUsualWidths(stated, notes), argsOf(row));
    const model = importInline(fields, { name, ...(seqLen === undefined ? {} : { seqLen }) });
    notes.push(...model.notes);
    return model;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { unsupported: `model "${name}": ${error.message.replaceAll("\n", "; ")}` };
  }
}

/** Tables write what they do not know as null, "", "-", "n/a" or "unknown", and some write numbers as text. */
function withoutBlanks(stated: Row): Row {
  const entries = Object.entries(stated).flatMap(([key, value]): [string, unknown][] => {
    if (value === null || value === undefined) return [];
    if (typeof value !== "string" || key === "name" || key === "hybrid_pattern") return [[key, value]];
    if (/^(\s*|-+|n\/?a|none|null|unknown|not stated)$/i.test(value)) return [];
    const number = num(stated, key);
    return [[key, number ?? value]];
  });
  return Object.fromEntries(entries);
}

/** Mixtures may have no dense width. */
function isWidthless(stated: Row, key: string): boolean {
  return key === "ffn" && stated.experts !== undefined;
}

/** The catalogue's model of that name, unless the row states other sizes. */
function publishedModel(name: string, stated: Row): ModelSpec | undefined {
  const model = catalogueModel(name);
  if (model === undefined) return undefined;
  const agrees = (key: string, value: number): boolean => [undefined, value].includes(count(stated, key));
  return agrees("layers", model.layers.length) && agrees("hidden", model.hidden) ? model : undefined;
}

/**
 * Widths that nearly every model of its kind has: heads of 128 columns (64 where the hidden size asks for it), a feed-forward part of 4 x hidden, or of
 * 8/3 x hidden in multiples of 256 when gated (arXiv 2302.13971, section 2.2, and its published code).
 */
function withUsualWidths(stated: Row, notes: string[]): Row {
  const hidden = count(stated, "hidden") ?? 1;
  const fields: Record<string, unknown> = { ...stated };
  if (fields.heads === undefined) {
    const width = count(stated, "head_dim") ?? (hidden % 128 === 0 ? 128 : 64);
    fields.heads = Math.max(1, Math.round(hidden / width));
    notes.push(`heads not stated: ${fields.heads}`);
  }
  if (fields.ffn === undefined && !isWidthless(stated, "ffn")) {
    fields.ffn = flag(stated, "ffn_gated") === false ? 4 * hidden : 256 * Math.ceil((8 * hidden) / 3 / 256);
    notes.push(`feed-forward width not stated: ${fields.ffn}`);
  }
  return fields;
}

/** The table's fields plus what Megatron's arguments add. */
function description(stated: Row, args: Row): Row {
  const fields: Record<string, unknown> = { ...stated };
  // Published configs of this family normalise q and k per head; tables of its runs leave that out (Qwen3 technical report, arXiv 2505.09388, section 2).
  if (/^qwen-?3/i.test(text(stated, "name") ?? "")) fields.qk_norm ??= true;
  // Every matrix of gpt-oss has a bias, the experts' too (openai/gpt-oss-120b config.json, modeling_gpt_oss.py).
  if (/^gpt-?oss/i.test(text(stated, "name") ?? "")) fields.bias ??= true;
  if (Object.keys(args).length === 0) return fields;
  // Megatron's defaults: learned positions, biases, an untied head only on request (arguments.py).
  fields.pos ??= text(args, "position-embedding-type") ?? "learned";
  fields.bias ??= flag(args, "disable-bias-linear") !== true;
  if (flag(args, "qk-layernorm") === true && flag(args, "multi-latent-attention") !== true) fields.qk_norm ??= true;
  const mtp = num(args, "mtp-num-layers");
  if (mtp !== undefined) fields.mtp_layers ??= mtp;
  if (flag(args, "multi-latent-attention") === true && !isRow(fields.mla)) {
    fields.mla = {
      q_lora: num(args, "q-lora-rank") ?? 0,
      kv_lora: num(args, "kv-lora-rank") ?? 32,
      qk_nope: num(args, "qk-head-dim") ?? 128,
      qk_rope: num(args, "qk-pos-emb-head-dim") ?? 64,
      v_dim: num(args, "v-head-dim") ?? 128,
    };
  }
  const frequency = text(args, "moe-layer-freq");
  if (frequency !== undefined && fields.experts !== undefined) fields.dense_layers ??= leadingZeros(frequency);
  return fields;
}

/** `([0]*3+[1]*13)`: three dense layers, then experts. */
function leadingZeros(frequency: string): number {
  const match = /^\(?\s*\[0\]\s*\*\s*(\d+)\s*\+/.exec(frequency);
  return match === null ? 0 : Number(match[1]);
}
