// A language model with another tower in front: `text_config` is the language model, `vision_config` the tower, whose
// parameters count as `extraParams`. A config without `text_config` keeps the language model's keys at the top.

import type { ConfigReader } from "../configReader.ts";
import type { Importer } from "./decoder.ts";

/** Parameters of a vision tower with its projector into the language model's width. */
export type TowerParameters = (vision: ConfigReader, textHidden: number, config: ConfigReader) => number;

/** `towerAlways`: the class builds its default tower even when the config has no `vision_config`. */
export function multimodal(
  language: Importer,
  tower: TowerParameters,
  options: { readonly towerAlways?: boolean } = {},
): Importer {
  return (reader, name, family) => {
    const text = reader.child("text_config") ?? reader;
    // The outer config states how the head is tied when the inner one does not.
    const model = language(text, name, family);
    const statedOutside = text !== reader && !text.has("tie_word_embeddings") && reader.has("tie_word_embeddings");
    const tiedEmbeddings = statedOutside ? reader.flag("tie_word_embeddings", false) : model.tiedEmbeddings;
    const stated = reader.child("vision_config");
    const vision = stated ?? (options.towerAlways === true ? reader.empty("vision_config") : null);
    if (vision === null) {
      reader.note("no vision_config: the language model only");
      return { ...model, tiedEmbeddings };
    }
    return {
      ...model,
      tiedEmbeddings,
      extraParams: model.extraParams + tower(vision, model.hidden, reader),
      extraNote: "vision tower and projector",
    };
  };
}
