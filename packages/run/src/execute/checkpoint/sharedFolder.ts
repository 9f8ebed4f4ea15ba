// Ranks of a checkpoint meet in its folder, so all must see the same one. Asked once, at the start: rank 0 leaves a file there and the others look for it.

import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { InputError } from "@meshwright/core/units";
import type { RankLink } from "../engine/links.ts";
import { gatherToRoot } from "../launch/gather.ts";

/** Tag of the name of rank 0's file, outside those of stage sends and results. */
const nameTag = 0x3fff_fff2;
const nameBytes = 36;
/** A network's file system may show a new file late. */
const patienceMs = 3000;
const nap = new Int32Array(new SharedArrayBuffer(4));

/** Every rank calls it. Throws on rank 0 where a rank sees another folder, which ends the run on all. */
export function requireSharedFolder(link: RankLink, root: string): void {
  if (link.numRanks === 1) return;
  const name = link.rank === 0 ? randomUUID() : receivedName(link);
  const path = join(root, `.${name}`);
  if (link.rank === 0) {
    mkdirSync(root, { recursive: true });
    writeFileSync(path, "");
    const bytes = new TextEncoder().encode(name);
    const sent = Array.from({ length: link.numRanks - 1 }, (_, i) => link.post(i + 1, nameTag, bytes));
    for (const each of sent) link.wait(each);
  }
  const seen = gatherToRoot(link, { sees: appears(path), host: hostname() });
  if (seen === null) return;
  rmSync(path, { force: true });
  const blind = [...seen.entries()].filter(([, { sees }]) => !sees);
  if (blind.length === 0) return;
  const [rank, { host }] = blind[0]!; // there is one
  throw new InputError({
    path: "--checkpoint",
    message: `Rank ${rank} on ${host} does not see the folder "${root}" of rank 0 on ${seen[0]!.host}`,
    hint: "use a folder that all hosts share",
  });
}

function receivedName(link: RankLink): string {
  const bytes = new Uint8Array(nameBytes);
  link.receive(0, nameTag, bytes);
  return new TextDecoder().decode(bytes);
}

function appears(path: string): boolean {
  const endMs = performance.now() + patienceMs;
  while (!existsSync(path)) {
    if (performance.now() > endMs) return false;
    Atomics.wait(nap, 0, 0, 20);
  }
  return true;
}
