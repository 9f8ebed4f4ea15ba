// Memory the caching allocator holds beyond what is alive.
//
// PyTorch's allocator serves small requests from 2 MiB segments and large ones from segments it keeps (c10/cuda/CUDACachingAllocator.cpp). Long-lived
// tensors are allocated once and pack densely; holes come with what is allocated and freed every micro-batch. Whole segments that a later, larger
// tensor cannot use are counted one by one (segments.ts, staging.ts); the rest - rounding, tensors of less than a segment, memory that waits for another
// stream - is a share of the dynamic bytes at the peak.

export interface AllocatorParameters {
  /** Slack per dynamic byte (activations, workspace, gathered parameters) at the peak. */
  readonly dynamicSlackFrac: number;
  /** Slack per persistent byte (rounding to 512 bytes and to segments). */
  readonly persistentSlackFrac: number;
}

export const defaultAllocator: AllocatorParameters = { dynamicSlackFrac: 0.04, persistentSlackFrac: 0.002 };

/**
 * When memory runs out the allocator returns cached segments and tries again before it fails, so slack never takes more than the room that is left.
 *
 * @param at.apartBytes freed segments of another moment that the tensors alive at the peak do not fit into (flat tensors of the step, or activations beside them).
 * @param at.roomBytes capacity minus everything alive and reserved; nothing is slack where it is negative.
 */
export function fragmentationBytes(
  at: {
    readonly dynamicBytes: number;
    readonly persistentBytes: number;
    readonly apartBytes: number;
    readonly roomBytes: number;
  },
  parameters: AllocatorParameters,
): number {
  const slack =
    at.apartBytes + at.dynamicBytes * parameters.dynamicSlackFrac + at.persistentBytes * parameters.persistentSlackFrac;
  return Math.max(0, Math.min(slack, at.roomBytes));
}
