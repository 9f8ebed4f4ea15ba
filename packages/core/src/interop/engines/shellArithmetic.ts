// `$((WORLD / TP))`: the arithmetic that launch scripts do.

/** Integer arithmetic of + - * / % and brackets over known variables; null for anything else. */
export function evaluate(text: string, lookUp: (name: string) => string | undefined): number | null {
  const tokens = text.match(/\d+|\$?\{?[A-Za-z_]\w*\}?|[-+*/%()]|\S/g) ?? [];
  let at = 0;
  const atom = (): number | null => {
    const token = tokens[at++];
    if (token === undefined) return null;
    if (token === "(") {
      const inner = sum();
      return tokens[at++] === ")" ? inner : null;
    }
    if (token === "-") {
      const inner = atom();
      return inner === null ? null : -inner;
    }
    if (/^\d+$/.test(token)) return Number(token);
    const known = lookUp(token.replace(/[${}]/g, ""));
    const number = known === undefined || known.trim() === "" ? Number.NaN : Number(known);
    return Number.isInteger(number) ? number : null;
  };
  const product = (): number | null => {
    let left = atom();
    while (left !== null && /^[*/%]$/.test(tokens[at] ?? "")) {
      const operator = tokens[at++];
      const right = atom();
      if (right === null || (operator !== "*" && right === 0)) return null;
      left = operator === "*" ? left * right : operator === "/" ? Math.trunc(left / right) : left % right;
    }
    return left;
  };
  const sum = (): number | null => {
    let left = product();
    while (left !== null && /^[-+]$/.test(tokens[at] ?? "")) {
      const operator = tokens[at++];
      const right = product();
      if (right === null) return null;
      left = operator === "+" ? left + right : left - right;
    }
    return left;
  };
  const value = sum();
  return at === tokens.length ? value : null;
}
