// Explanations: why a step takes what it takes, why one strategy beats another, what would change it.

export { type Bottleneck, bottleneckOf } from "./bottleneck.ts";
export { type ComponentKey, componentName, componentSeconds } from "./components.ts";
export {
  COMPONENT_STD,
  type Comparison,
  type Difference,
  differences,
  type ExplainedStep,
  RESIDUAL_STD,
} from "./differences.ts";
export { type ExplainOptions, type Explanation, explain, type NamedSpec } from "./explain.ts";
export { hardwareKnobs, type Knob, type Scenario } from "./knobs.ts";
export { type Need, type Needs, type NeedsOptions, needsFor } from "./needs.ts";
export { type Neighbour, neighbours } from "./neighbours.ts";
export { resizedCluster, withCopies, withDp } from "./resize.ts";
export { type Sensitivity, type SensitivityKind, type SensitivityOptions, sensitivities } from "./sensitivities.ts";
export { parseTarget, type Target, type TargetQuantity } from "./target.ts";
export { type Loss, type LossKey, lossNames, lossSec, type Waterfall, waterfall } from "./waterfall.ts";
