// Saves an SVG of the page as a file that stands alone, or as a PNG. Colours of CSS variables are written out as they are shown.

import { saveBlob, saveText } from "./saveFile.ts";

const shownProperties = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font", "opacity"] as const;

export function saveSvg(svg: SVGSVGElement | null, name: string): void {
  if (svg !== null) saveText(standalone(svg), name, "image/svg+xml");
}

/** Twice the size, for screens and slides. */
export async function savePng(svg: SVGSVGElement | null, name: string): Promise<void> {
  if (svg === null) return;
  const { width, height } = svg.getBoundingClientRect();
  const address = URL.createObjectURL(new Blob([standalone(svg)], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = new OffscreenCanvas(Math.round(width * 2), Math.round(height * 2));
    const context = canvas.getContext("2d");
    if (context === null) throw new Error("This browser gives no canvas");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    saveBlob(await canvas.convertToBlob({ type: "image/png" }), name);
  } finally {
    URL.revokeObjectURL(address);
  }
}

function standalone(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement; // a clone is of the same kind
  const originals = [svg, ...svg.querySelectorAll<SVGElement>("*")];
  [copy, ...copy.querySelectorAll<SVGElement>("*")].forEach((element, index) => {
    const shown = getComputedStyle(originals[index]!); // a deep clone has as many elements
    for (const property of shownProperties) element.style.setProperty(property, shown.getPropertyValue(property));
  });
  const ground = getComputedStyle(document.documentElement).getPropertyValue("--surface");
  copy.style.background = ground;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(copy);
}
