// Memory the caching allocator holds beyond what is alive.
//
// PyTorch's allocator serves small requests from 2 MiB segments and large ones from segments it keeps; freed blocks of one size leave holes that the
// next request of another size does not fill (pytorch c10/cuda/CUDACachingAllocator.cpp). Long-lived tensors are allocated once and pack densely; the
// holes come with what is allocated and freed every micro-batch. So slack is a share of the dynamic bytes at the peak.

export interface AllocatorParameters {
  /** Slack per dynamic byte (activations, workspace, gathered parameters) at the peak. */
  readonly dynamicSlackFrac: number;
  /** Slack per persistent byte (rounding to 512 bytes and to segments). */
  readonly persistentSlackFrac: number;
}

export const defaultAllocator: AllocatorParameters = { dynamicSlackFrac: 0.04, persistentSlackFrac: 0.002 };

export function fragmentationBytes(
  at: { readonly dynamicBytes: number; readonly persistentBytes: number },
  parameters: AllocatorParameters,
): number {
  return at.dynamicBytes * parameters.dynamicSlackFrac + at.persistentBytes * parameters.persistentSlackFrac;
}
