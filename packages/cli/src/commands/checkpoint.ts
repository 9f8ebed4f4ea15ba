// `meshwright checkpoint`: what a checkpoint holds, whether it is sound, and its weights in one file.

import { resolve } from "node:path";
import { formatBytes, formatCount } from "@meshwright/core/units";
import { consolidate, inspectCheckpoint } from "@meshwright/run";
import type { DefineCommand } from "../main.ts";

const examples = `
Examples:
  meshwright checkpoint runs/tiny
  meshwright checkpoint runs/tiny/step-00000100 --consolidate tiny.safetensors

Every fragment is read and compared with its checksum. docs/checkpoints.md describes the format.`;

export const define: DefineCommand = (command, io, exit) => {
  command
    .argument("<folder>", "a checkpoint, or a folder of them: the newest")
    .option("--consolidate <file>", "write every weight, whole, into one safetensors file")
    .option("--json", "print what it holds as JSON")
    .addHelpText("after", examples);
  command.action((path: string, options: Record<string, unknown>) => {
    const report = inspectCheckpoint(resolve(io.cwd, path));
    if (options["json"] === true) io.out(JSON.stringify(report, null, 2));
    else {
      const { step, model, mesh, optimizer, sequencesSeen, numParameters, numTensors, numFragments, sizeBytes } =
        report;
      io.out(io.paint.bold(report.folder));
      io.out(
        `step ${step} of ${model}, ${formatCount(sequencesSeen)} sequences seen, ${optimizer}, written by ${mesh}`,
      );
      io.out(
        `${formatCount(numParameters)} parameters; with the optimizer's state ${numTensors} tensors of ${numFragments} fragments, ${formatBytes(sizeBytes)}`,
      );
      io.out(report.damage.length === 0 ? io.paint.green("sound: every checksum holds") : io.paint.red("damaged"));
      for (const text of report.damage) io.out(`  ${text}`);
    }
    if (report.damage.length > 0) {
      exit(2);
      return;
    }
    const target = options["consolidate"] as string | undefined;
    if (target === undefined) return;
    const written = consolidate(resolve(io.cwd, path), resolve(io.cwd, target));
    io.err(io.paint.dim(`${written} tensors written to ${target}`));
  });
};
