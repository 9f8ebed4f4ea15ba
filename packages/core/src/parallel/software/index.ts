// The registry of software presets and the choice of one from a framework's name and date. A new framework is one more preset in a family file.

import { InputError, nearestName } from "../../units/errors.ts";
import type { Software } from "../strategy.ts";
import { generic } from "./base.ts";
import * as earlier from "./earlier.ts";
import * as megatron from "./megatron.ts";
import * as others from "./others.ts";
import * as pytorch from "./pytorch.ts";

export { derive, hostSec, type SoftwareFacts } from "./base.ts";

const presets = new Map<string, Software>(
  [
    generic,
    ...Object.values(megatron),
    ...Object.values(pytorch),
    ...Object.values(others),
    ...Object.values(earlier),
  ].map((software) => [software.name, software]),
);

export function softwareNames(): readonly string[] {
  return [...presets.keys()];
}

/** The preset of that name; an unknown one is the user's error. A family name without a date (`megatron-bridge`) means its newest preset. */
export function softwarePreset(name: string, path = "software"): Software {
  const wanted = name.toLowerCase();
  const found = presets.get(wanted) ?? newestOf(wanted);
  if (found !== undefined) return found;
  const familyNames = softwareNames().map((known) => known.replace(/-\d{4}.*$/, ""));
  const near = nearestName(name, [...familyNames, ...softwareNames()]);
  throw new InputError({
    path,
    message: `Unknown software "${name}"`,
    hint: near === undefined ? "list the presets with `meshwright software`" : `did you mean "${near}"`,
  });
}

function newestOf(family: string): Software | undefined {
  const members = [...presets.values()].filter(
    (software) => software.name.startsWith(`${family}-`) && /^\d{4}/.test(software.name.slice(family.length + 1)),
  );
  return members.sort((a, b) => a.name.localeCompare(b.name)).at(-1);
}

export interface SoftwareChoice {
  readonly software: Software;
  /** Says when nothing in the name was known and the generic stack stands in. */
  readonly note: string | null;
}

/** How a framework's printed name leads to a family; the first match wins. Years pick within a family. */
const families: readonly { readonly pattern: RegExp; readonly choose: (year: number, text: string) => Software }[] = [
  { pattern: /simumax/, choose: () => megatron.megatronSimumax },
  { pattern: /megatron-?deepspeed|bigscience/, choose: () => megatron.megatronDeepspeed2022 },
  { pattern: /maxtext|\bpax|jax|xla|tpu/, choose: () => others.maxtext },
  { pattern: /bridge/, choose: (year) => (year < 2026 ? megatron.megatronBridge2025 : megatron.megatronBridge2026) },
  {
    pattern: /nemo/,
    choose: (year) =>
      year <= 2022
        ? megatron.nemo2022
        : year === 2023
          ? megatron.nemo2023
          : year === 2024
            ? megatron.nemo2024
            : megatron.megatronCore2025,
  },
  {
    pattern: /megatron/,
    choose: (year) =>
      year <= 2021
        ? megatron.megatron2021
        : year === 2022
          ? megatron.megatron2022
          : year <= 2024
            ? megatron.nemo2024
            : megatron.megatronLm2025,
  },
  { pattern: /foundry|composer|mosaic/, choose: () => pytorch.llmFoundry2023 },
  {
    pattern: /titan/,
    choose: (year, text) =>
      /eager/.test(text) ? pytorch.torchtitanEager : year >= 2025 ? pytorch.torchtitan2025 : pytorch.torchtitan,
  },
  {
    pattern: /lit-?gpt|lightning/,
    choose: (year, text) =>
      /thunder|compile/.test(text) ? pytorch.litgptThunder : year <= 2023 ? pytorch.litgpt2023 : pytorch.litgptEager,
  },
  { pattern: /colossal/, choose: () => others.colossalai },
  { pattern: /intern-?(evo|lm)/, choose: () => others.internevo },
  { pattern: /fast-?llm/, choose: () => others.fastLlm },
  {
    pattern: /deepspeed|hugging ?face|\bhf\b|trl|axolotl|llama-?factory|accelerate/,
    choose: () => pytorch.deepspeedHf,
  },
  { pattern: /meta|llama ?3/, choose: () => others.llama3Meta },
  { pattern: /\bddp\b/, choose: () => pytorch.pytorchDdp },
  { pattern: /fsdp|pytorch|torch/, choose: () => pytorch.pytorchFsdp2 },
];

/** The preset that a framework name and its version or date mean, such as ("Megatron-Bridge (NeMo)", "NeMo container 26.02"). */
export function softwareForRow(framework: string, versionOrDate = ""): SoftwareChoice {
  const text = `${framework} ${versionOrDate}`.toLowerCase();
  const name = framework.toLowerCase();
  const family = families.find((f) => f.pattern.test(name)) ?? families.find((f) => f.pattern.test(text));
  if (family === undefined)
    return { software: generic, note: `framework "${framework}" is not known: the generic software preset stands in` };
  return { software: family.choose(yearOf(text), text), note: null };
}

/** `2024-12-26`, `NeMo container 26.04`, `dgxc-benchmarking 25.05.04`, `MLPerf Training v4.1` -> year; the present when none is found. */
function yearOf(text: string): number {
  const full = /(?:^|[^\d])(20[12]\d)(?!\d)/.exec(text);
  if (full !== null) return Number(full[1]);
  const mlperf = /mlperf training v(\d)\.(\d)/.exec(text);
  // Training rounds: v2.x 2022, v3.x 2023, v4.x 2024, v5.x 2025 (MLCommons).
  if (mlperf !== null) return 2020 + Number(mlperf[1]);
  const container = /(?:^|[^\d.])(2[0-9])\.(0[1-9]|1[0-2])(?!\d)/.exec(text);
  return container === null ? 2026 : 2000 + Number(container[1]);
}
