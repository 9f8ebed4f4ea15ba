// How a rank sleeps and is woken. Every rank has one bell: whoever changes something that it may wait for rings it. A waiting rank looks at the bell for a
// while (a wake-up costs about 5 us, a lost time slice 230 us), then sleeps in slices, between which its caller checks deadlines and the other ranks.

/** Loads between looks at the clock. */
const spinLoads = 500;

/** How long to look: longer than a wake-up costs, far shorter than a lost time slice. */
const sharedCoreSpinMs = 0.03;

/** Where every rank has a core, nothing else wants it: most messages come within this. */
export const ownCoreSpinMs = 0.1;

/** Two words: number of rings, and whether the owner sleeps. */
export const bellWords = 2;

export class Doorbell {
  private readonly words: Int32Array;
  private readonly index: number;
  private readonly spinMs: number;

  /** @param spinMs how long the owner looks before it sleeps. */
  constructor(words: Int32Array, index: number, spinMs = sharedCoreSpinMs) {
    this.words = words;
    this.index = index;
    this.spinMs = spinMs;
  }

  ring(): void {
    Atomics.add(this.words, this.index, 1);
    if (Atomics.load(this.words, this.index + 1) !== 0) Atomics.notify(this.words, this.index);
  }

  /**
   * Blocks the owner until `ready` says so; asked again after every ring.
   *
   * @param onSlice called after every slice of sleep with the time waited so far; it throws to give up.
   */
  waitUntil(ready: () => boolean, sliceMs: number, onSlice: (waitedMs: number) => void): void {
    const { words, index } = this;
    let seen = Atomics.load(words, index);
    if (ready()) return;
    let startMs = -1;
    for (;;) {
      const rung = this.spin(seen);
      if (!rung) {
        startMs = startMs < 0 ? performance.now() : startMs;
        Atomics.store(words, index + 1, 1);
        Atomics.wait(words, index, seen, sliceMs);
        Atomics.store(words, index + 1, 0);
        onSlice(performance.now() - startMs);
      }
      seen = Atomics.load(words, index);
      if (ready()) return;
    }
  }

  /** @returns whether the bell was rung while looking. */
  private spin(seen: number): boolean {
    const { words, index, spinMs } = this;
    const untilMs = performance.now() + spinMs;
    do {
      for (let i = 0; i < spinLoads; i++) if (Atomics.load(words, index) !== seen) return true;
    } while (performance.now() < untilMs);
    return false;
  }
}
