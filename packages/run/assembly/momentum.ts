// Heavy ball over n elements that lie one after another.

import { splat } from "./lanes";

/** Heavy ball; m 0: no momentum kept. */
export function momentum(grad: usize, master: usize, m: usize, n: i32, gradScale: f32, beta: f32, keep: f32, rate: f32): void {
  const s = splat(gradScale), b = splat(beta), k = splat(keep), r = splat(rate);
  let j = 0;
  for (; j + 4 <= n; j += 4) {
    const o = <usize>j << 2;
    let velocity = f32x4.mul(s, v128.load(grad + o));
    if (m != 0) {
      velocity = f32x4.add(velocity, f32x4.mul(b, v128.load(m + o)));
      v128.store(m + o, velocity);
    }
    v128.store(master + o, f32x4.sub(f32x4.mul(k, v128.load(master + o)), f32x4.mul(r, velocity)));
  }
  for (; j < n; j++) {
    const o = <usize>j << 2;
    let velocity = gradScale * load<f32>(grad + o);
    if (m != 0) {
      velocity += beta * load<f32>(m + o);
      store<f32>(m + o, velocity);
    }
    store<f32>(master + o, keep * load<f32>(master + o) - rate * velocity);
  }
}
