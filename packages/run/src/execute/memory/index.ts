// Where a rank's tensors lie: its region of the WebAssembly memory that all ranks of a process share.

export { Arena, ArenaFull, lineBytes } from "./arena.ts";
export { ArenaMats, rankMemory } from "./arenaMats.ts";
export { mostMemoryBytes, type Region, sharedMemory } from "./sharedMemory.ts";
