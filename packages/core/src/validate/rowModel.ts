// The model of a row: an inline description, completed from the command line of Megatron rows, whose tables hold only the main sizes.

import { importInline, type ModelSpec } from "../model/index.ts";
import { InputError } from "../units/errors.ts";
import { argsOf, child, count, flag, isRow, num, type Row, text } from "./rowReader.ts";

export function modelOfRow(row: Row, notes: string[]): ModelSpec | { readonly unsupported: string } {
  const stated = child(row, "model");
  const name = text(stated, "name") ?? "unnamed model";
  if (count(stated, "layers") === undefined || count(stated, "hidden") === undefined) {
    return { unsupported: `dimensions of model "${name}" are not stated` };
  }
  const seqLen = count(row, "seq_len");
  try {
    const model = importInline(description(stated, argsOf(row)), { name, ...(seqLen === undefined ? {} : { seqLen }) });
    notes.push(...model.notes);
    return model;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { unsupported: `model "${name}": ${error.message.replaceAll("\n", "; ")}` };
  }
}

/** The table's fields, without nulls, plus what Megatron's arguments add. */
function description(stated: Row, args: Row): Row {
  const fields: Record<string, unknown> = Object.fromEntries(
    Object.entries(stated).filter(([, value]) => value !== null),
  );
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
