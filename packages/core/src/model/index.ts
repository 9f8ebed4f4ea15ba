// What other rooms use of the model room.

export { type ImportOptions, importableTypes, importHuggingFace } from "./importHuggingFace.ts";
export { type InlineOptions, importInline } from "./importInline.ts";
export { type LayerParameters, layerParameters } from "./layerParameters.ts";
export { headParameters, mtpParameters, parameterCounts } from "./parameterCounts.ts";
export * from "./types.ts";
