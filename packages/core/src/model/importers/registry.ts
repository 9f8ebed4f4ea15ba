// Every architecture we import, by Hugging Face `model_type`. Adding one is one entry in a family file.

import type { Importer } from "./decoder.ts";
import { deepseekFamilies } from "./deepseek.ts";
import { diffusionFamilies } from "./diffusion.ts";
import { encoderFamilies } from "./encoder.ts";
import { encoderDecoderFamilies } from "./encoderDecoder.ts";
import { gemmaFamilies } from "./gemma.ts";
import { gptFamilies } from "./gpt.ts";
import { hybridFamilies } from "./hybrid.ts";
import { llamaFamilies } from "./llama.ts";
import { mixtureFamilies } from "./mixtures.ts";
import { qwenFamilies } from "./qwen.ts";

export const importers: ReadonlyMap<string, Importer> = new Map(
  Object.entries({
    ...llamaFamilies,
    ...qwenFamilies,
    ...gemmaFamilies,
    ...gptFamilies,
    ...mixtureFamilies,
    ...deepseekFamilies,
    ...hybridFamilies,
    ...encoderFamilies,
    ...encoderDecoderFamilies,
    ...diffusionFamilies,
  }),
);
