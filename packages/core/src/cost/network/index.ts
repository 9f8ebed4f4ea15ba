// The network half of the cost room.

export { collectiveCost } from "./collective.ts";
export { hostCopyCost } from "./hostCopy.ts";
export { moeExchangeCost } from "./moeExchange.ts";
