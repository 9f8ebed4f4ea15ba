// Values of every rank brought to rank 0: for results and proofs, after the steps whose bytes are counted.

import { deserialize, serialize } from "node:v8";
import type { RankLink } from "../engine/links.ts";

/** Outside the tags of stage sends, which grow from 0. */
const lengthTag = 0x3fff_fff0;
const valueTag = 0x3fff_fff1;

/** @param value plain data, typed arrays included. @returns on rank 0 the values by rank, elsewhere null. */
export function gatherToRoot<T>(transport: RankLink, value: T): T[] | null {
  if (transport.rank > 0) {
    const data = serialize(value);
    const length = new Uint8Array(new Float64Array([data.byteLength]).buffer);
    const pending = [transport.post(0, lengthTag, length), transport.post(0, valueTag, data)];
    for (const each of pending) transport.wait(each);
    return null;
  }
  const values = [value];
  for (let rank = 1; rank < transport.numRanks; rank++) {
    const length = new Float64Array(1);
    transport.receive(rank, lengthTag, new Uint8Array(length.buffer));
    const data = new Uint8Array(length[0]!);
    transport.receive(rank, valueTag, data);
    // What a rank sends is what its own serialize() wrote.
    values.push(deserialize(data) as T);
  }
  return values;
}
