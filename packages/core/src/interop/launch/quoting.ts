// Quoting for the two languages an argument passes through: POSIX shells, and Kubernetes' own expansion of $(NAME) in commands and variables.

/** A word that a POSIX shell reads back as `text`, whatever it holds (a NUL cannot be passed to a program at all). */
export function shellWord(text: string): string {
  // Only characters that no shell gives a meaning anywhere in a word.
  if (/^[A-Za-z0-9_@%+:,./=-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * A command over several lines: options with their values, one a line. Words are quoted; `before` is shell text that stays as it is.
 *
 * @param before first line, such as `exec torchrun`.  @param words arguments.
 */
export function commandLines(before: string, words: readonly string[]): readonly string[] {
  const lines = [before];
  let isOption = false;
  for (const word of words) {
    const opens = /^--?[A-Za-z]/.test(word);
    // A value stays beside its option; a word after a value opens a line of its own.
    if (isOption && !opens) lines.push(`${lines.pop()} ${shellWord(word)}`);
    else lines.push(`  ${shellWord(word)}`);
    isOption = opens;
  }
  return lines.map((line, i) => (i + 1 < lines.length ? `${line} \\` : line));
}

/**
 * Text that Kubernetes leaves as `text` where it expands $(NAME): command, args and values of env.
 *
 * Source: kubernetes/kubernetes third_party/forked/golang/expansion/expand.go: `$$` becomes `$`, `$(` opens a name, any other `$` stands for itself.
 */
export function unexpanded(text: string): string {
  return text.replaceAll("$", "$$$$");
}

/** A name for Kubernetes objects and files: RFC 1035, of at most `most` characters. */
export function slug(title: string, most: number): string {
  const plain = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "");
  return (/^[a-z]/.test(plain) ? plain : `job-${plain}`).slice(0, most).replace(/-+$/, "");
}
