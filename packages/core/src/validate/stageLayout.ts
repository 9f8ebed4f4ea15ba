// How a recipe deals layers to pipeline stages.
//
// Megatron's layout language (pipeline_model_parallel_layout): stages divided by `|`, `E` embedding, `t` a layer, `m` a multi-token-prediction
// module, `L` the loss; `x*n` repeats a letter, `(...)*n` a group.

export function layoutStages(layout: string): readonly number[] {
  const grouped = expand(layout, /\(([^()]*)\)\*(\d+)/, 8);
  const flat = expand(grouped, /([a-zA-Z])\*(\d+)/, 64);
  return flat.split("|").map((stage) => [...stage].filter((letter) => letter === "t").length);
}

function expand(input: string, pattern: RegExp, limit: number): string {
  let output = input;
  for (let i = 0; i < limit; i++) {
    const match = pattern.exec(output);
    if (match === null) break;
    output = output.replace(match[0], (match[1] ?? "").repeat(Number(match[2])));
  }
  return output;
}

export interface StageSplit {
  readonly stageLayers: readonly number[] | null;
  readonly balanceEmbedding: boolean;
  readonly note?: string;
}

/**
 * Megatron refuses layer counts that do not divide; its recipes then count embedding and loss as a layer each (126 + 2 = 128:
 * account_for_embedding_in_pipeline_split), or give the last stage, which also holds the head and prediction modules, fewer layers (61 =
 * 15 x 4 + 1). Other frameworks split as evenly as they can.
 */
export function splitLayers(p: { numLayers: number; numStages: number; megatron: boolean }): StageSplit {
  const { numLayers, numStages } = p;
  if (numStages === 1 || numLayers % numStages === 0) return { stageLayers: null, balanceEmbedding: false };
  if ((numLayers + 2) % numStages === 0) {
    return {
      stageLayers: null,
      balanceEmbedding: true,
      note: `${numLayers} layers do not divide into ${numStages} stages: embedding and head count as a layer each`,
    };
  }
  const most = Math.ceil(numLayers / numStages);
  const last = numLayers - most * (numStages - 1);
  if (!p.megatron || last < 0) return { stageLayers: null, balanceEmbedding: false };
  const stageLayers = [...Array.from({ length: numStages - 1 }, () => most), last];
  return {
    stageLayers,
    balanceEmbedding: false,
    note: `${numLayers} layers over ${numStages} stages: ${most} each, ${last} in the last, which holds the head`,
  };
}
