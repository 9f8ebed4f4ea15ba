// Draws at most once a frame, and only the layers that were asked for.

export class FrameLoop<Layer extends string = string> {
  private readonly layers: Readonly<Record<Layer, () => void>>;
  private readonly asked = new Set<Layer>();
  private frame = 0;

  /** Drawn in the order of the object. */
  constructor(layers: Readonly<Record<Layer, () => void>>) {
    this.layers = layers;
  }

  ask(...layers: readonly Layer[]): void {
    for (const layer of layers) this.asked.add(layer);
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = 0;
    for (const layer of Object.keys(this.layers) as Layer[]) if (this.asked.delete(layer)) this.layers[layer](); // its keys are layers
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.asked.clear();
  }
}

/** The canvas's context, its pixels fitted to its place on the page. */
export function fitCanvas(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const scale = window.devicePixelRatio;
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return canvas.getContext("2d")!; // a canvas of ours has a 2d context
}
