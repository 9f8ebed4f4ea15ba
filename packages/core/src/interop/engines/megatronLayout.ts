// Megatron's pipeline layout: `E|(t|)*3,m|m||L`. E embedding, t layer, m multi-token-prediction layer, L loss; stages between bars, in model order:
// stage s of pp x chunks lies on rank s % pp. (Megatron-LM core/transformer/pipeline_parallel_layer_layout.py)

export interface StageContents {
  readonly layers: number;
  readonly mtp: number;
  readonly hasEmbedding: boolean;
  readonly hasLoss: boolean;
}

/** The layout of stages with so many layers each. */
export function writeLayout(counts: readonly number[], mtpLayers: number): string {
  return counts
    .map((count, i) => {
      const isLast = i === counts.length - 1;
      return `${i === 0 ? "E" : ""}${"t".repeat(count)}${isLast ? `${"m".repeat(mtpLayers)}L` : ""}`;
    })
    .join("|");
}

/** Stages of a layout; a sentence when it cannot be read. */
export function readLayout(text: string): readonly StageContents[] | string {
  let flat = text.replace(/[\s,]/g, "");
  // `(t|)*3` and `t*3`, innermost first.
  for (let i = 0; i < 20 && flat.includes("*"); i++) {
    flat = flat.replace(/\(([^()]*)\)\*(\d{1,4})/g, (_, inner: string, times: string) => inner.repeat(Number(times)));
    flat = flat.replace(/([EtmL|])\*(\d{1,4})/g, (_, letter: string, times: string) => letter.repeat(Number(times)));
    if (flat.length > 100_000) return "The layout is longer than any model";
  }
  const wrong = /[^EtmL|]/.exec(flat);
  if (wrong !== null) return `"${wrong[0]}" is no part of a layout`;
  const count = (stage: string, letter: string) => stage.split(letter).length - 1;
  const stages = flat.split("|");
  if (count(flat, "E") !== 1 || !stages[0]!.startsWith("E"))
    return "A layout begins with the embedding, E, and has one";
  if (count(flat, "L") !== 1 || !flat.endsWith("L")) return "A layout ends with the loss, L, and has one";
  return stages.map((stage) => ({
    layers: count(stage, "t"),
    mtp: count(stage, "m"),
    hasEmbedding: stage.includes("E"),
    hasLoss: stage.includes("L"),
  }));
}
