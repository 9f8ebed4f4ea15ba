// Mixtures of experts on a LLaMA-like body.

import { decoder, everyLayerWindow, type Importer } from "./decoder.ts";
import { moeFfn } from "./moe.ts";

export const mixtureFamilies: Readonly<Record<string, Importer>> = {
  mixtral: decoder({
    tied: false,
    kvHeads: 8,
    window: everyLayerWindow,
    ffn: (r) => {
      const moe = moeFfn(r, { inner: r.count("intermediate_size") });
      return () => moe;
    },
  }),
};
