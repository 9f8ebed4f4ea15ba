// The manifests are read back as kubectl would: with a YAML reader, then with Kubernetes' expansion of $(NAME), then as a pod would start.

import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { type LaunchJob, launchFiles } from "../packages/core/src/interop/launch/index.ts";
import { type YamlValue, yamlDocuments } from "../packages/core/src/interop/launch/yaml.ts";

const awkward = [
  "y",
  "no",
  "on",
  "1e3",
  "0x10",
  "12:30",
  "2026-01-01",
  "~",
  "null",
  "",
  " a",
  "a: b",
  "# c",
  "- d",
  "$(HOME)",
  "$$",
  "it's",
  "two\nlines\n",
];

const job: LaunchJob = {
  name: "Llama 3.1 70B",
  nodes: 16,
  devicesPerNode: 8,
  program: ["/opt/Megatron-LM/pretrain_gpt.py", "--tensor-model-parallel-size", "8", ...awkward],
  environment: Object.fromEntries(awkward.map((value, i) => [`${["Y", "N", "ON"][i] ?? `V${i}`}`, value])),
  files: [
    { path: "conf/ds_config.json", text: '{\n  "zero": 1\n}\n' },
    { path: "y", text: "  indented\n\n\n" },
  ],
  image: "nvcr.io/nvidia/pytorch:25.06-py3",
  cpusPerNode: 96,
  memoryBytesPerNode: 2 ** 40,
  timeLimitSec: 3600,
  queue: "team-a",
  topologyLevel: "cloud.provider.com/topology-block",
  resources: { "rdma/ib": "8" },
};

// biome-ignore lint/suspicious/noExplicitAny: manifests are read as a cluster reads them, without our types
type Manifest = any;

function manifests(launcher: "jobset" | "trainjob", asked = job): readonly Manifest[] {
  const [file, ...rest] = launchFiles(launcher, asked);
  expect(rest).toEqual([]);
  const read = (version: "1.1" | "1.2") =>
    parseAllDocuments(file!.text, { version, strict: true }).map((document) => {
      expect([...document.errors, ...document.warnings]).toEqual([]);
      return document.toJS();
    });
  // kubectl reads YAML 1.1.
  expect(read("1.1")).toEqual(read("1.2"));
  return read("1.1");
}

/** kubernetes/kubernetes third_party/forked/golang/expansion/expand.go. */
function expanded(text: string, known: Readonly<Record<string, string>>): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (all, what: string, name: string) =>
    what === "$" ? "$" : (known[name] ?? all),
  );
}

function variables(env: readonly Manifest[]): Record<string, string> {
  return Object.fromEntries(
    env.filter((each) => "value" in each).map((each) => [each.name, expanded(each.value, { HOME: "/root" })]),
  );
}

describe("yamlDocuments()", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(...awkward),
    fc.string({ unit: fc.constantFrom(" ", "\n", "\t", "a", "-", ":", "#") }),
  );
  const value = fc.letrec<{ value: YamlValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      text,
      fc.integer(),
      fc.boolean(),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(text, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;

  it("is read back as what was written, by YAML 1.1 and 1.2", () => {
    fc.assert(
      fc.property(value, (wanted) => {
        for (const version of ["1.1", "1.2"] as const)
          expect(parse(yamlDocuments([wanted]), { version })).toEqual(wanted);
      }),
      { numRuns: 500 },
    );
  });

  it("writes a block for text of several lines, and bare words where they are safe", () => {
    expect(
      yamlDocuments([
        { name: "node-0", y: "no", data: { "a.json": "{\n}\n" }, gone: undefined, list: [{ a: 1, b: [] }, "x"] },
      ]),
    ).toBe(
      [
        "name: node-0",
        '"y": "no"',
        "data:",
        "  a.json: |",
        "    {",
        "    }",
        "list:",
        "- a: 1",
        "  b: []",
        "- x",
        "",
      ].join("\n"),
    );
  });
});

describe("the JobSet", () => {
  const [config, set] = manifests("jobset");
  const indexed = set.spec.replicatedJobs[0].template.spec;
  const [container] = indexed.template.spec.containers;

  it("is an indexed Job with a pod per node", () => {
    expect([set.apiVersion, set.kind, set.metadata.name]).toEqual([
      "jobset.x-k8s.io/v1alpha2",
      "JobSet",
      "llama-3-1-70b",
    ]);
    expect(set.metadata.labels).toEqual({ "kueue.x-k8s.io/queue-name": "team-a" });
    expect(set.spec.network).toEqual({ enableDNSHostnames: true });
    expect([indexed.parallelism, indexed.completions, indexed.completionMode, indexed.backoffLimit]).toEqual([
      16,
      16,
      "Indexed",
      0,
    ]);
    expect([indexed.activeDeadlineSeconds, set.spec.failurePolicy.maxRestarts]).toEqual([3600, 0]);
    expect(indexed.template.metadata.annotations).toEqual({
      "kueue.x-k8s.io/podset-required-topology": "cloud.provider.com/topology-block",
    });
    expect(indexed.template.spec.restartPolicy).toBe("Never");
  });

  it("hands torchrun the pod's index, the host name of pod 0 and the program's arguments untouched", () => {
    const rank = container.env.find((each: Manifest) => each.name === "NODE_RANK");
    expect(rank.valueFrom.fieldRef.fieldPath).toBe("metadata.annotations['batch.kubernetes.io/job-completion-index']");
    const known = { NODE_RANK: "5", HOME: "/root" };
    expect([...container.command, ...container.args].map((word: string) => expanded(word, known))).toEqual([
      ...["torchrun", "--nnodes", "16", "--nproc-per-node", "8", "--node-rank", "5"],
      ...["--master-addr", "llama-3-1-70b-node-0-0.llama-3-1-70b", "--master-port", "29500"],
      ...job.program,
    ]);
    expect(variables(container.env)).toEqual(job.environment);
    expect(container.ports).toEqual([{ containerPort: 29500 }]);
  });

  it("asks for the node's devices, cores, memory and cards", () => {
    const amounts = { cpu: "96", memory: "1048576Mi", "nvidia.com/gpu": "8", "rdma/ib": "8" };
    expect(container.resources).toEqual({ limits: amounts, requests: amounts });
    expect(container.securityContext.capabilities.add).toEqual(["IPC_LOCK"]);
  });

  it("mounts every file at its path in the working folder", () => {
    expect(container.workingDir).toBe("/workspace");
    const seen = container.volumeMounts
      .filter((mount: Manifest) => mount.name === "files")
      .map((mount: Manifest) => [mount.mountPath, config.data[mount.subPath]]);
    expect(seen).toEqual(job.files.map((file) => [`/workspace/${file.path}`, file.text]));
    const volumes = Object.fromEntries(indexed.template.spec.volumes.map((volume: Manifest) => [volume.name, volume]));
    expect(volumes.files.configMap.name).toBe(config.metadata.name);
    expect(volumes["shared-memory"].emptyDir.medium).toBe("Memory");
    for (const key of Object.keys(config.data)) expect(key).toMatch(/^[-._a-zA-Z0-9]+$/);
  });

  it("keeps pod names within 63 characters, the random end included", () => {
    const [long] = manifests("jobset", { ...job, name: "x".repeat(200), files: [] });
    expect(`${long.metadata.name}-node-0-${99_999}-abcde`.length).toBeLessThanOrEqual(63);
  });
});

describe("the TrainJob", () => {
  const [config, train] = manifests("trainjob");
  const { trainer, runtimePatches } = train.spec;
  const [patched] = runtimePatches[0].trainingRuntimeSpec.template.spec.replicatedJobs;
  const pod = patched.template.spec.template;

  it("runs on the runtime torch-distributed with a node per node", () => {
    expect([train.apiVersion, train.kind]).toEqual(["trainer.kubeflow.org/v1alpha1", "TrainJob"]);
    expect([train.spec.runtimeRef.name, trainer.numNodes, trainer.numProcPerNode]).toEqual([
      "torch-distributed",
      16,
      8,
    ]);
    expect(trainer.resourcesPerNode.requests).toEqual(trainer.resourcesPerNode.limits);
    expect(trainer.resourcesPerNode.limits["nvidia.com/gpu"]).toBe("8");
    expect([patched.name, pod.spec.containers[0].name]).toEqual(["node", "node"]);
    expect([train.spec.activeDeadlineSeconds, train.metadata.labels["kueue.x-k8s.io/queue-name"]]).toEqual([
      3600,
      "team-a",
    ]);
  });

  it("starts torchrun in the files' folder with the program's arguments untouched, more than the 128 that `args` may hold", () => {
    const many = {
      ...job,
      directory: "/tmp",
      program: [...job.program, ...Array.from({ length: 200 }, (_, i) => `--flag-${i}`)],
    };
    for (const asked of [{ ...job, directory: "/tmp" }, many]) {
      const { command } = manifests("trainjob", asked).at(-1)!.spec.trainer;
      expect(command.length).toBeLessThan(128);
      const [program, ...args] = command.map((word: string) => expanded(word, { HOME: "/root" }));
      const recorded = args.with(
        -1,
        `torchrun() { printf '%s\\0' "$PWD" "$@"; }; ${args.at(-1).replace("exec torchrun", "torchrun")}`,
      );
      const words = execFileSync(program, recorded, { encoding: "utf8" }).split("\0").slice(0, -1);
      expect(words).toEqual(["/tmp", ...asked.program]);
    }
    expect(variables(trainer.env)).toEqual(job.environment);
  });

  it("mounts every file by a volume of its own, as patches are keyed by the volume", () => {
    const mounts = pod.spec.containers[0].volumeMounts.filter((mount: Manifest) => mount.name !== "shared-memory");
    expect(new Set(mounts.map((mount: Manifest) => mount.name)).size).toBe(job.files.length);
    const seen = mounts.map((mount: Manifest) => {
      const { configMap } = pod.spec.volumes.find((volume: Manifest) => volume.name === mount.name);
      expect(configMap.name).toBe(config.metadata.name);
      expect(configMap.items[0].path).toBe(mount.subPath);
      return [mount.mountPath, config.data[configMap.items[0].key]];
    });
    expect(seen).toEqual(job.files.map((file) => [`/workspace/${file.path}`, file.text]));
  });
});

describe("the SkyPilot task", () => {
  const asked: LaunchJob = {
    ...job,
    image: "pytorch/pytorch:2.8.0",
    accelerator: "H100",
  };
  const { timeLimitSec: _t, queue: _q, topologyLevel: _l, resources: _r, ...plain } = asked;
  const [file, ...files] = launchFiles("skypilot", plain);
  const task: Manifest = parse(file!.text, { version: "1.1" });

  it("asks for nodes, devices and the network between them", () => {
    expect(task.name).toBe("llama-3-1-70b");
    expect([task.num_nodes, task.workdir]).toEqual([16, "."]);
    expect(task.resources).toEqual({
      accelerators: "H100:8",
      cpus: "96+",
      memory: "1024+",
      image_id: "docker:pytorch/pytorch:2.8.0",
      network_tier: "best",
    });
    expect(files).toEqual(job.files);
  });

  it("runs torchrun on every node with its rank, the head's address and the program's arguments untouched", () => {
    const env = { PATH: process.env["PATH"] ?? "", SKYPILOT_NODE_RANK: "3", SKYPILOT_NODE_IPS: "10.0.0.7\n10.0.0.8" };
    const recorded = `[() { false; }; torchrun() { printf '%s\\0' "$Y" "$@"; }; ${task.run.replace("exec torchrun", "torchrun")}`;
    const words = execFileSync("bash", ["-c", recorded], { encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] })
      .split("\0")
      .slice(0, -1);
    expect(words).toEqual([
      job.environment["Y"],
      ...["--nnodes", "16", "--nproc-per-node", "8", "--node-rank", "3"],
      ...["--master-addr", "10.0.0.7", "--master-port", "29500"],
      ...job.program,
    ]);
  });
});
