// Best first: a binary heap by bound; equal bounds leave in the order in which they came, so that a search is the same every time.

export interface Bounded {
  readonly bound: number;
}

export class BoundHeap<Node extends Bounded> {
  private readonly nodes: { readonly node: Node; readonly arrival: number }[] = [];
  private arrivals = 0;

  get size(): number {
    return this.nodes.length;
  }

  push(node: Node): void {
    const { nodes } = this;
    nodes.push({ node, arrival: this.arrivals++ });
    for (let i = nodes.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.before(i, parent)) break;
      this.swap(i, parent);
      i = parent;
    }
  }

  pop(): Node | undefined {
    const { nodes } = this;
    const top = nodes[0];
    const last = nodes.pop();
    if (top === undefined || last === undefined) return undefined;
    if (nodes.length > 0) {
      nodes[0] = last;
      for (let i = 0; ; ) {
        const left = 2 * i + 1;
        let least = i;
        if (left < nodes.length && this.before(left, least)) least = left;
        if (left + 1 < nodes.length && this.before(left + 1, least)) least = left + 1;
        if (least === i) break;
        this.swap(i, least);
        i = least;
      }
    }
    return top.node;
  }

  /** What is left, in no particular order. */
  *rest(): Iterable<Node> {
    for (const { node } of this.nodes) yield node;
  }

  private before(i: number, j: number): boolean {
    const a = this.nodes[i]!;
    const b = this.nodes[j]!;
    return a.node.bound !== b.node.bound ? a.node.bound < b.node.bound : a.arrival < b.arrival;
  }

  private swap(i: number, j: number): void {
    const a = this.nodes[i]!;
    this.nodes[i] = this.nodes[j]!;
    this.nodes[j] = a;
  }
}
