// Tensors of ranks that share memory, by address: copies, sums and maxima of n elements. Collectives run on them (src/execute/collectives/direct.ts).

export function copy(target: usize, source: usize, n: i32): void {
  memory.copy(target, source, <usize>n << 2);
}

/** target = target op source; both: source becomes that as well. Called with constants, so that each export below is a loop without choices. */
@inline
function reduce(target: usize, source: usize, n: i32, takesMax: bool, both: bool): void {
  let i = 0;
  for (; i + 16 <= n; i += 16) {
    const o = <usize>i << 2;
    for (let part: usize = 0; part < 64; part += 16) {
      const a = v128.load(target + o + part);
      const b = v128.load(source + o + part);
      const c = takesMax ? f32x4.max(a, b) : f32x4.add(a, b);
      v128.store(target + o + part, c);
      if (both) v128.store(source + o + part, c);
    }
  }
  for (; i < n; i++) {
    const o = <usize>i << 2;
    const a = load<f32>(target + o);
    const b = load<f32>(source + o);
    const c = takesMax ? max(a, b) : a + b;
    store<f32>(target + o, c);
    if (both) store<f32>(source + o, c);
  }
}

export function sum(target: usize, source: usize, n: i32): void {
  reduce(target, source, n, false, false);
}

export function maximum(target: usize, source: usize, n: i32): void {
  reduce(target, source, n, true, false);
}

export function sumBoth(a: usize, b: usize, n: i32): void {
  reduce(a, b, n, false, true);
}

export function maximumBoth(a: usize, b: usize, n: i32): void {
  reduce(a, b, n, true, true);
}
