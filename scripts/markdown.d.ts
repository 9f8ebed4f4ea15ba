// Tests read documents as text, which vite resolves.
declare module "*.md?raw" {
  const text: string;
  export default text;
}
