// What other rooms use of the model room.

export { catalogueModel, catalogueName, catalogueNames, namedModel } from "./catalogue.ts";
export { describeModel, type LayerRow, type ModelDescription } from "./describeModel.ts";
export { type FlopsConvention, type FlopsQuestion, flopsPerToken, layerForwardFlops } from "./flops.ts";
export { type ImportOptions, importableTypes, importHuggingFace } from "./importHuggingFace.ts";
export { type InlineOptions, importInline } from "./importInline.ts";
export { importModel } from "./importModel.ts";
export { kvBytesPerToken, kvCacheBytes } from "./kvCache.ts";
export { type LayerParameters, layerParameters } from "./layerParameters.ts";
export { headParameters, mtpParameters, parameterCounts } from "./parameterCounts.ts";
export { parseConfigText } from "./parseConfigText.ts";
export * from "./types.ts";
