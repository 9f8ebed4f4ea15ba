import { describe, expect, it } from "vitest";
import { readShell } from "./shellText.ts";

const words = (text: string) => readShell(text).commands.map((command) => command.map((word) => word.text));
const at = (text: string) => readShell(text).commands[0]!.map((word) => `${word.text}@${word.line}`);

describe("readShell()", () => {
  it("joins continued lines and drops comments", () => {
    expect(words("torchrun a.py \\\n  --x 1 \\\n  --y # why\n")).toEqual([["torchrun", "a.py", "--x", "1", "--y"]]);
  });

  it("expands strings, defaults and arrays, and keeps lines of the definition", () => {
    const script =
      'TP=${TP:-8}\nARGS=(\n  --tp $TP  # note\n  --name "two words"\n)\nMORE="\n  --z 1 \\\n  --w\n"\nrun "${ARGS[@]}" $MORE\n';
    expect(at(script)).toEqual(["run@10", "--tp@3", "8@1", "--name@4", "two words@4", "--z@7", "1@7", "--w@8"]);
  });

  it("appends to arrays and strings", () => {
    expect(words('A=(--a)\nA+=(--b 1)\nS="x"\nS+=" y"\nrun ${A[@]} $S')).toEqual([
      ["run", "--a", "--b", "1", "x", "y"],
    ]);
  });

  it("does integer arithmetic", () => {
    expect(words("N=4\nG=8\nrun --w $((N * $G)) --h $(( (N+1)*2 ))")).toEqual([["run", "--w", "32", "--h", "10"]]);
  });

  it("leaves what only a run would know, marked", () => {
    const [command] = readShell("run --in $1 --d $(date +%s) --n $NODES").commands;
    expect(command!.map((word) => word.unresolved)).toEqual([null, null, "$1", null, "$(date +%s)", null, "$NODES"]);
  });

  it("reads conditions as taken and finds the command in bash -c", () => {
    expect(words('if [ "$X" = 1 ]; then\n  A="--a"\nfi\nsrun -l bash -c "torchrun x.py $A"')).toEqual([
      ["torchrun", "x.py", "--a"],
    ]);
  });

  it("keeps single quotes whole", () => {
    expect(words("run --layout 'E|t*3|L' --other=\"(a)\"")).toEqual([["run", "--layout", "E|t*3|L", "--other=(a)"]]);
  });

  it("collects the environment of programs", () => {
    const { environment } = readShell("export A=1\nB=2 run x\nC=3\n");
    expect([...environment.keys()]).toEqual(["A", "B"]);
  });

  it("never throws and never hangs on broken text", () => {
    for (const text of ['a "b', "$(", "${", "`", "A=(", "a \\", "((((", "'x"])
      expect(() => readShell(text)).not.toThrow();
  });
});
