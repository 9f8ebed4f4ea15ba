export { type BatchOrder, evaluationBatch, type StepTokens, TrainingBatches } from "./batches.ts";
export { type Corpus, ownDocs, readCorpus } from "./corpus.ts";
export { learnTokenizer, parseTokenizer, Tokenizer, type TokenizerSpec } from "./tokenizer.ts";
export { cutWindows, type TokenWindows } from "./windows.ts";
