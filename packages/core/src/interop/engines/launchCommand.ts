// Finds the training program in a shell script: which script or module runs, with which arguments, and on how many devices torchrun starts it. A file
// that runs nothing is a list of arguments: everything in its arrays, or all its words.

import type { ShellScript, ShellWord } from "./shellText.ts";

export interface LaunchCommand {
  /** `pretrain_gpt.py`; null for a bare list of arguments. */
  readonly program: string | null;
  readonly args: readonly ShellWord[];
  /** nodes x processes per node, when the file states both. */
  readonly numDevices: number | undefined;
}

export function findCommand(script: ShellScript): LaunchCommand {
  const runs = script.commands.map(splitCommand).filter((run) => run !== null);
  // The command with the most options is the training; others prepare data.
  const best = runs.sort((a, b) => options(b.args) - options(a.args))[0];
  if (best !== undefined && options(best.args) > 0)
    return { program: best.program, args: best.args, numDevices: deviceCount(best.before, script) };
  const bare = script.commands.flat().filter(({ text }) => text !== "\\");
  const words = bare.some(({ text }) => text.startsWith("--"))
    ? bare.slice(bare.findIndex(({ text }) => text.startsWith("--")))
    : [];
  const held = [...script.variables.values()].filter((value) => value[0]?.text.startsWith("--") === true).flat();
  return { program: null, args: words.length > 0 ? words : held, numDevices: deviceCount([], script) };
}

function options(words: readonly ShellWord[]): number {
  return words.filter(({ text }) => text.startsWith("--")).length;
}

interface SplitCommand {
  readonly program: string;
  readonly before: readonly ShellWord[];
  readonly args: readonly ShellWord[];
}

function splitCommand(words: readonly ShellWord[]): SplitCommand | null {
  const script = words.findIndex(({ text }) => /(^|\/)[\w.-]+\.py$/.test(text));
  if (script >= 0)
    return { program: words[script]!.text, before: words.slice(0, script), args: words.slice(script + 1) };
  // `torchrun -m torchtitan.train ...`; `python -m torch.distributed.run` is the launcher itself.
  const flag = words.findLastIndex(
    ({ text }, i) => text === "-m" && !/^torch\.distributed/.test(words[i + 1]?.text ?? ""),
  );
  const module = words[flag + 1];
  if (flag < 0 || module === undefined) return null;
  return { program: module.text, before: words.slice(0, flag), args: words.slice(flag + 2) };
}

function deviceCount(before: readonly ShellWord[], script: ShellScript): number | undefined {
  const option = (...names: readonly string[]): number | undefined => {
    for (const [i, { text }] of before.entries()) {
      const [, name, inline] = /^--?([\w-]+)(?:=(.*))?$/.exec(text) ?? [];
      if (name === undefined || !names.includes(name.replaceAll("_", "-"))) continue;
      const value = Number((inline ?? before[i + 1]?.text ?? "").split(":").at(-1));
      return Number.isSafeInteger(value) && value > 0 ? value : undefined;
    }
    return undefined;
  };
  const perNode = option("nproc-per-node");
  const nodes = option("nnodes") ?? (before.some(({ text }) => text.includes("nnodes")) ? undefined : 1);
  if (perNode !== undefined && nodes !== undefined) return perNode * nodes;
  const world = script.variables.get("WORLD_SIZE")?.[0]?.text;
  return world !== undefined && /^[1-9]\d*$/.test(world) && perNode === undefined ? Number(world) : undefined;
}
