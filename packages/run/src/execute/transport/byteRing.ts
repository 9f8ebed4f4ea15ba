// A stream of 8-byte units from one thread to another through shared memory: one writer, one reader, no locks. Positions are counts of units since the
// start and wrap around at 2^32; their difference is what lies in the ring.

/** Words of the two positions, each on a cache line of its own. */
export const ringHeadWords = 32;

export class ByteRing {
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly at: number;
  private readonly numUnits: number;
  private readonly firstByte: number;

  /** @param at index of its first word; the ring takes ringHeadWords + capacityBytes / 4 words. @param capacityBytes a power of two. */
  constructor(words: Int32Array, at: number, capacityBytes: number) {
    this.words = words;
    this.bytes = new Uint8Array(words.buffer);
    this.at = at;
    this.numUnits = capacityBytes / 8;
    this.firstByte = words.byteOffset + (at + ringHeadWords) * 4;
  }

  /** Units the reader may take. */
  filled(): number {
    return (Atomics.load(this.words, this.at) - Atomics.load(this.words, this.at + 16)) | 0;
  }

  /** Units the writer may add. */
  free(): number {
    return this.numUnits - this.filled();
  }

  /** Writes bytes from `from` on, as many as fit in `units`; the last unit may be partly filled. Not seen before advance(). */
  write(skippedUnits: number, data: Uint8Array, from: number, length: number): void {
    const start = this.byteAt(Atomics.load(this.words, this.at) + skippedUnits);
    const room = this.numUnits * 8 - (start - this.firstByte);
    copyBytes(data, from, this.bytes, start, Math.min(length, room));
    if (length > room) copyBytes(data, from + room, this.bytes, this.firstByte, length - room);
  }

  read(skippedUnits: number, into: Uint8Array, to: number, length: number): void {
    const start = this.byteAt(Atomics.load(this.words, this.at + 16) + skippedUnits);
    const room = this.numUnits * 8 - (start - this.firstByte);
    copyBytes(this.bytes, start, into, to, Math.min(length, room));
    if (length > room) copyBytes(this.bytes, this.firstByte, into, to + room, length - room);
  }

  writeWord(wordOffset: number, value: number): void {
    const unit = Atomics.load(this.words, this.at) + (wordOffset >> 1);
    this.words[this.wordAt(unit) + (wordOffset & 1)] = value;
  }

  readWord(wordOffset: number): number {
    const unit = Atomics.load(this.words, this.at + 16) + (wordOffset >> 1);
    return this.words[this.wordAt(unit) + (wordOffset & 1)]!;
  }

  /** The writer gives away what it has written. */
  advance(units: number): void {
    Atomics.store(this.words, this.at, (Atomics.load(this.words, this.at) + units) | 0);
  }

  /** The reader frees what it has taken. */
  release(units: number): void {
    Atomics.store(this.words, this.at + 16, (Atomics.load(this.words, this.at + 16) + units) | 0);
  }

  /** The filled bytes that lie in one piece, in place. */
  filledView(): Uint8Array {
    const start = this.byteAt(Atomics.load(this.words, this.at + 16));
    const end = this.firstByte + this.numUnits * 8;
    return this.bytes.subarray(start, Math.min(end, start + this.filled() * 8));
  }

  private byteAt(unit: number): number {
    return this.firstByte + ((unit >>> 0) & (this.numUnits - 1)) * 8;
  }

  private wordAt(unit: number): number {
    return this.at + ringHeadWords + ((unit >>> 0) & (this.numUnits - 1)) * 2;
  }
}

/** Short pieces byte by byte: making a view costs more than 32 assignments. */
function copyBytes(from: Uint8Array, at: number, to: Uint8Array, toAt: number, length: number): void {
  if (length <= 32) for (let i = 0; i < length; i++) to[toAt + i] = from[at + i]!;
  else to.set(from.subarray(at, at + length), toAt);
}
