// Two levels: sums inside each node, all-reduce of the shares between nodes, results spread inside each node. Only 1 / nodeSize of the buffer of
// each rank crosses between nodes. Consecutive members share a node.

import { type GroupLink, part, partLength } from "../groupLink.ts";

export function hierarchicalAllReduce(link: GroupLink, view: Float32Array): void {
  const { size, index, nodeSize } = link;
  const numNodes = size / nodeSize;
  const local = index % nodeSize;
  const node = (index - local) / nodeSize;
  const inNode = (place: number) => node * nodeSize + ((place + nodeSize) % nodeSize);
  const theirs = link.scratch(Math.ceil(view.length / nodeSize));
  // Shares of the node go around it; afterwards this rank holds the node's sum of share `local`.
  for (let step = 0; step < nodeSize - 1; step++) {
    const sum = part(view, nodeSize, (local - step - 2 + 2 * nodeSize) % nodeSize);
    const incoming = theirs.subarray(0, sum.length);
    link.exchange(
      inNode(local + 1),
      part(view, nodeSize, (local - step - 1 + nodeSize) % nodeSize),
      inNode(local - 1),
      incoming,
    );
    link.reduce(sum, incoming);
  }
  const share = part(view, nodeSize, local);
  const across = (place: number) => ((place + numNodes) % numNodes) * nodeSize + local;
  for (let step = 0; step < numNodes - 1; step++) {
    const sum = part(share, numNodes, (node - step - 1 + 2 * numNodes) % numNodes);
    const incoming = theirs.subarray(0, sum.length);
    link.exchange(
      across(node + 1),
      part(share, numNodes, (node - step + numNodes) % numNodes),
      across(node - 1),
      incoming,
    );
    link.reduce(sum, incoming);
  }
  for (let step = 0; step < numNodes - 1; step++) {
    const outgoing = part(share, numNodes, (node + 1 - step + numNodes) % numNodes);
    link.exchange(
      across(node + 1),
      outgoing,
      across(node - 1),
      part(share, numNodes, (node - step + numNodes) % numNodes),
    );
  }
  for (let step = 0; step < nodeSize - 1; step++) {
    const outgoing = part(view, nodeSize, (local - step + nodeSize) % nodeSize);
    link.exchange(
      inNode(local + 1),
      outgoing,
      inNode(local - 1),
      part(view, nodeSize, (local - step - 1 + nodeSize) % nodeSize),
    );
  }
}

export function hierarchicalAllReduceSent(length: number, size: number, index: number, nodeSize: number): number {
  const numNodes = size / nodeSize;
  const local = index % nodeSize;
  const node = (index - local) / nodeSize;
  const share = partLength(length, nodeSize, local);
  const inside = nodeSize === 1 ? 0 : 2 * length - share - partLength(length, nodeSize, (local + 1) % nodeSize);
  const between =
    numNodes === 1
      ? 0
      : 2 * share -
        partLength(share, numNodes, (node + 1) % numNodes) -
        partLength(share, numNodes, (node + 2) % numNodes);
  return inside + between;
}
