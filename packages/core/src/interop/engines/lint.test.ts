// Configurations as people write them, in the style of the engines' published examples: what is wrong is found, all at once, with its line; what is right
// becomes a job.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EngineName } from "../../parallel/software/engineLimits.ts";
import { predictStep } from "../../simulate/index.ts";
import { resolveSpec } from "../../spec/index.ts";
import { InputError } from "../../units/errors.ts";
import { launchFiles } from "../launch/index.ts";
import { exportSpec } from "./index.ts";
import { lintConfig } from "./lint.ts";

const sources = { load: () => undefined };

interface Where {
  readonly model?: string;
  readonly cluster: string;
  readonly engine?: EngineName;
  readonly seqLen?: number;
  readonly globalBatch?: number;
}

function lint(fileName: string, text: string, where: Where) {
  const { findings, spec, engine } = lintConfig({ fileName, text, sources, ...where });
  return {
    engine,
    spec,
    said: findings.map(({ severity, line, message }) => `${line ?? "-"} ${severity}: ${message}`),
  };
}

const gpt3 = `#!/bin/bash
export CUDA_DEVICE_MAX_CONNECTIONS=1

GPUS_PER_NODE=8
NUM_NODES=\${NUM_NODES:-16}
WORLD_SIZE=$(($GPUS_PER_NODE*$NUM_NODES))
CHECKPOINT_PATH=$1 #<Specify path>

DISTRIBUTED_ARGS=(
    --nproc_per_node $GPUS_PER_NODE
    --nnodes $NUM_NODES
)
GPT_MODEL_ARGS=(
    --num-layers 96
    --hidden-size 12288
    --num-attention-heads 96
    --seq-length 2048
    --max-position-embeddings 2048
    --attention-backend auto # Can use (flash/fused/unfused/local)
)
TRAINING_ARGS=(
    --micro-batch-size 1
    --global-batch-size 1536
    --rampup-batch-size 16 16 5859375
    --train-iters 500000
    --fp16
    --lr 6.0e-5
    --lr-warmup-fraction .001
)
MODEL_PARALLEL_ARGS=(
	--tensor-model-parallel-size 8
	--pipeline-model-parallel-size 16
)
torchrun \${DISTRIBUTED_ARGS[@]} pretrain_gpt.py \\
    \${GPT_MODEL_ARGS[@]} \\
    \${TRAINING_ARGS[@]} \\
    \${MODEL_PARALLEL_ARGS[@]} \\
    --save $CHECKPOINT_PATH --load $CHECKPOINT_PATH
`;

describe("Megatron-LM scripts", () => {
  it("take a published style of launch script as it is", () => {
    const { said, spec, engine } = lint("train_gpt3.sh", gpt3, { model: "gpt3-175b", cluster: "128xa100-80g" });
    expect(engine).toBe("megatron");
    expect(said).toEqual([]);
    expect(spec?.strategy).toMatchObject({
      tp: 8,
      pp: 16,
      dp: 1,
      schedule: "1f1b",
      precision: "fp16",
      sharding: "none",
      microBatch: 1,
    });
    expect(spec?.software).toMatchObject({ dropout: 0.1, overlapGradReduce: false, crossEntropy: "fp32Copy" });
    expect(predictStep(spec!).kind).toBe("ok");
  });

  it("take their model from the flags when none is given", () => {
    const { said, spec } = lint("train_gpt3.sh", gpt3, { cluster: "128xa100-80g" });
    expect(said).toEqual([]);
    expect(spec?.model).toMatchObject({ hidden: 12288, position: "learned", tiedEmbeddings: true });
  });

  it("contradict another model and another cluster, flag by flag", () => {
    const { said } = lint("train_gpt3.sh", gpt3, { model: "llama-3.1-70b", cluster: "64xh100-sxm" });
    expect(said).toContain('14 error: --num-layers 96 contradicts "llama-3.1-70b": 80');
    expect(said).toContain('15 error: --hidden-size 12288 contradicts "llama-3.1-70b": 8192');
    expect(said).toContain('14 error: "llama-3.1-70b" needs --swiglu');
    expect(said).toContain('14 error: "llama-3.1-70b" needs --num-query-groups 8');
    expect(said.join("\n")).toMatch(/The file starts 128 processes, cluster "64xh100-sxm" has 64 devices/);
    expect(said.join("\n")).toMatch(/31 error: Cannot place tp=8, pp=16 on cluster/);
  });

  const flags = (...lines: readonly string[]) =>
    [
      "--num-layers 32",
      "--hidden-size 4096",
      "--num-attention-heads 32",
      "--seq-length 4096",
      "--max-position-embeddings 4096",
      "--micro-batch-size 1",
      "--global-batch-size 64",
      ...lines,
    ].join(" \\\n");
  const complaints = (...lines: readonly string[]) => lint("args.sh", flags(...lines), { cluster: "8xh100-sxm" }).said;

  it.each<[readonly string[], RegExp]>([
    [["--model-parallel-size 8"], /8 error: Megatron-LM no longer takes --model-parallel-size/],
    [["--checkpoint-activations"], /8 error: Megatron-LM no longer takes --checkpoint-activations/],
    [["--use-mcore-models"], /8 warning: --use-mcore-models does nothing any more/],
    [["--tensor-model-parallel 8"], /8 error: Megatron-LM takes no abbreviated options/],
    [["--sequence-paralel"], /8 error: Unknown option --sequence-paralel/],
    [["--my-own-team-option 3"], /8 warning: Option --my-own-team-option is not known/],
    [["--bf16", "--fp16"], /error: --bf16 and --fp16 exclude each other/],
    [["--overlap-param-gather"], /8 error: --overlap-param-gather needs --overlap-grad-reduce/],
    [["--recompute-granularity full"], /8 error: Full recompute needs --recompute-method/],
    [
      ["--recompute-granularity selective", "--recompute-method uniform"],
      /9 error: --recompute-method does not go with selective/,
    ],
    [["--recompute-granularity selectiv"], /8 error: --recompute-granularity takes full, selective, not "selectiv"/],
    [["--tensor-model-parallel-size 2", "--tp-comm-overlap"], /9 error: --tp-comm-overlap needs --sequence-parallel/],
    [["--tensor-model-parallel-size 8", "--tensor-model-parallel-size 4"], /9 warning: .*stands twice, with 8 and 4/],
    [["--pipeline-model-parallel-size 3"], /8 error: 32 layers do not split evenly over 3 pipeline ranks/],
    [
      ["--pipeline-model-parallel-size 4", "--num-layers-per-virtual-pipeline-stage 3"],
      /9 error: 3 layers of a virtual stage do not divide/,
    ],
    [["--num-virtual-stages-per-pipeline-rank 2"], /8 error: Virtual stages need a pipeline/],
    [
      ["--pipeline-model-parallel-size 2", "--pipeline-model-parallel-layout Et*16|t*16"],
      /9 error: A layout ends with the loss/,
    ],
    [["--context-parallel-size 3"], /error: A sequence of 4096 tokens does not split into 2 x 3 pieces/],
    [
      ["--context-parallel-size 4", "--cp-comm-type a2a+p2p"],
      /9 error: a2a\+p2p needs --hierarchical-context-parallel-sizes/,
    ],
    [
      ["--num-experts 6", "--expert-model-parallel-size 4", "--disable-bias-linear"],
      /9 error: 6 experts do not split over 4/,
    ],
    [
      [
        "--num-experts 8",
        "--expert-model-parallel-size 8",
        "--overlap-moe-expert-parallel-comm",
        "--disable-bias-linear",
      ],
      /10 error: Overlap of the expert exchange needs --moe-token-dispatcher-type/,
    ],
    [
      ["--use-megatron-fsdp", "--data-parallel-sharding-strategy optim_grads_params"],
      /8 error: Megatron-FSDP needs --ckpt-format fsdp_dtensor/,
    ],
    [["--optimizer-cpu-offload"], /8 error: --optimizer-cpu-offload needs --use-precision-aware-optimizer/],
    [["--tensor-model-parallel-size $TP"], /8 error: The file does not say what \$TP is/],
    [["--micro-batch-size many"], /8 error: --micro-batch-size needs a number, got "many"/],
    [["--lr"], /8 error: --lr stands without a value/],
    [["--fp8-param-gather"], /8 error: --fp8-param-gather needs --fp8-format/],
    [
      ["--use-torch-fsdp2", "--use-distributed-optimizer"],
      /8 error: --use-torch-fsdp2 and --use-distributed-optimizer exclude each other/,
    ],
  ])("%j", (lines, expected) => {
    expect(complaints(...lines).join("\n")).toMatch(expected);
  });

  it("say everything at once", () => {
    const said = complaints(
      "--model-parallel-size 8",
      "--bf16",
      "--fp16",
      "--recompute-granularity full",
      "--pipeline-model-parallel-size 3",
    );
    expect(said.filter((each) => each.includes("error")).length).toBeGreaterThanOrEqual(5);
  });

  it("that were written by the launchers are read back", () => {
    const spec = resolveSpec(
      { model: "llama-3.1-8b", cluster: "16xh100-sxm", workload: { seq: 8192, global_batch: 64 }, strategy: { tp: 4 } },
      sources,
    );
    const { program, environment, files } = exportSpec("megatron", spec);
    for (const launcher of ["slurm", "torchrun"] as const) {
      const [script] = launchFiles(launcher, { name: "job", nodes: 2, devicesPerNode: 8, program, environment, files });
      const { said, spec: back } = lint(script!.path, script!.text, { model: "llama-3.1-8b", cluster: "16xh100-sxm" });
      expect(said, launcher).toEqual([]);
      expect(back?.strategy.tp, launcher).toBe(4);
    }
  });
});

describe("DeepSpeed configurations", () => {
  const zero = `{
  "bf16": {"enabled": true},
  "zero_optimization": {
    "stage": 2,
    "overlap_comm": true,
    "reduce_bucket_size": 5e8
  },
  "gradient_clipping": 1.0,
  "train_micro_batch_size_per_gpu": 1,
  "gradient_accumulation_steps": 8
}`;
  const where = { model: "llama-3.1-8b", cluster: "64xh100-sxm", seqLen: 4096 };

  it("become a job with the model, the cluster and the sequence beside them", () => {
    const { said, spec } = lint("ds_config.json", zero, where);
    expect(said).toEqual([]);
    expect(spec?.strategy).toMatchObject({ sharding: "zero2", dp: 64, microBatch: 1, precision: "bf16" });
    expect(spec?.workload).toEqual({ seqLen: 4096, globalBatch: 512 });
  });

  it("need a sequence length, which the file cannot say", () => {
    expect(lint("ds_config.json", zero, { model: "llama-3.1-8b", cluster: "64xh100-sxm" }).said).toEqual([
      "- error: The file does not say how long sequences are",
    ]);
  });

  it.each<[string, string, RegExp]>([
    [
      '"gradient_clipping"',
      '"gradient_cliping"',
      /8 error: DeepSpeed ignores the unknown key "gradient_cliping" in silence/,
    ],
    ['"gradient_clipping": 1.0', '"overlap_comm": true', /8 error: DeepSpeed ignores the unknown key "overlap_comm"/],
    ['"overlap_comm"', '"overlap_com"', /5 error: "zero_optimization" has no field "overlap_com"/],
    ['"stage": 2', '"stage": 4', /4 error: ZeRO has the stages 0 to 3, not 4/],
    [
      '"stage": 2',
      '"stage": 2, "offload_param": {"device": "cpu"}',
      /4 error: Offload of parameters needs ZeRO stage 3/,
    ],
    [
      '"stage": 2',
      '"stage": 2, "stage3_max_live_parameters": 1e9',
      /4 warning: "stage3_max_live_parameters" has no effect at ZeRO stage 2/,
    ],
    ['"stage": 2', '"stage": 2, "cpu_offload": true', /4 warning: "zero_optimization.cpu_offload" is deprecated/],
    [
      '"bf16": {"enabled": true}',
      '"bf16": {"enabled": true}, "fp16": {"enabled": true}',
      /2 error: "bf16" and "fp16" exclude each other/,
    ],
    ['"gradient_clipping": 1.0', '"train_batch_size": 64', /8 error: train_batch_size 64 is not 1 x 8 x 64 = 512/],
    ['"gradient_clipping": 1.0', '"pipeline": {"stages": 4}', /4 error: A pipeline needs ZeRO stage 0 or 1, not 2/],
    ['"gradient_clipping": 1.0', '"scheduler": {"type": "WarmupLr"}', /8 error: Unknown scheduler "WarmupLr"/],
    ['"gradient_clipping": 1.0', '"bf16": {"enabled": false}', /8 warning: "bf16" stands twice/],
    [
      '"gradient_accumulation_steps": 8',
      '"gradient_accumulation_steps": 8,',
      /11 error: Expected another item after the comma/,
    ],
    [
      '"gradient_accumulation_steps": 8',
      '"gradient_accumulation_steps": "8"',
      /10 error: gradient_accumulation_steps needs a number/,
    ],
    [
      '"train_micro_batch_size_per_gpu": 1',
      '"tensor_parallel": {"autotp_size": 3}, "train_micro_batch_size_per_gpu": 1',
      /9 error: Cannot split 32 attention heads over tp=3/,
    ],
  ])("%s -> %s", (from, to, expected) => {
    expect(lint("ds_config.json", zero.replace(from, to), where).said.join("\n")).toMatch(expected);
  });

  it("leave to the Trainer what is auto", () => {
    const auto = zero.replace(
      '"train_micro_batch_size_per_gpu": 1',
      '"train_micro_batch_size_per_gpu": "auto", "train_batch_size": "auto"',
    );
    expect(lint("ds_config.json", auto, where).said.join("\n")).toMatch(/warning: The batch is "auto"/);
    expect(lint("ds_config.json", auto, { ...where, globalBatch: 128 }).spec?.workload.globalBatch).toBe(128);
  });
});

describe("torchtitan configurations", () => {
  const toml = `# torchtitan Config.toml
[model]
name = "llama3"
flavor = "8B"

[training]
local_batch_size = 1
seq_len = 8192
steps = 1000

[parallelism]
data_parallel_replicate_degree = 1
data_parallel_shard_degree = -1
tensor_parallel_degree = 2

[activation_checkpoint]
mode = "selective"  # ["none", "selective", "full"]
selective_ac_option = "op"

[compile]
enable = true
components = ["model", "loss"]

[quantize.linear.float8]
enable_fsdp_float8_all_gather = false
`;
  const where = { model: "llama-3.1-8b", cluster: "8xh100-sxm" };

  it("in TOML become a job", () => {
    const { said, spec } = lint("llama3_8b.toml", toml, where);
    expect(said).toEqual([]);
    expect(spec?.strategy).toMatchObject({
      tp: 2,
      dp: 4,
      sharding: "zero3",
      recompute: { kind: "ops" },
      sequenceParallel: true,
    });
    expect(spec?.workload).toEqual({ seqLen: 8192, globalBatch: 4 });
    expect(spec?.software.name).toBe("torchtitan-2025");
  });

  it.each<[string, string, RegExp]>([
    [
      "tensor_parallel_degree = 2",
      "tensor_parallel_degree = 3",
      /13 error: replicate 1 x context 1 x tensor 3 .* does not divide the 8 devices/,
    ],
    [
      "tensor_parallel_degree",
      "tensor_paralel_degree",
      /14 error: torchtitan has no option parallelism.tensor_paralel_degree/,
    ],
    ["[parallelism]", "[parallelsm]", /12 error: torchtitan has no section "parallelsm"/],
    ['mode = "selective"', 'mode = "selectiv"', /17 error: activation_checkpoint.mode takes none, selective, full/],
    ["steps = 1000", "steps = soon", /9 error: Expected a value, got soon/],
    ["steps = 1000", "global_batch_size = 7", /9 error: A global batch of 7 is no multiple of local batch 1 x 4/],
    ["data_parallel_shard_degree = -1", "data_parallel_shard_degree = 8", /13 error: .* = 16, but there are 8 devices/],
    [
      "tensor_parallel_degree = 2",
      'pipeline_parallel_degree = 2\npipeline_parallel_schedule = "1F1C"',
      /15 error: Unknown schedule "1F1C"/,
    ],
    [
      "tensor_parallel_degree = 2",
      "context_parallel_degree = 3",
      /Sequences of 8192 tokens do not split into 6 pieces/,
    ],
    ["enable = true", "enable = 1", /21 error: compile.enable is true or false/],
  ])("%s -> %s", (from, to, expected) => {
    expect(lint("llama3_8b.toml", toml.replace(from, to), where).said.join("\n")).toMatch(expected);
  });

  const python = `from torchtitan.distributed.activation_checkpoint import FullAC
from torchtitan.models.llama3.config_registry import llama3_8b
from torchtitan.trainer import Trainer


def llama3_8b_pp2() -> Trainer.Config:
    config = llama3_8b()
    config.parallelism.pipeline_parallel_degree = 2
    config.parallelism.pipeline_parallel_schedule = "Interleaved1F1B"
    config.parallelism.num_pp_microbatches = 8
    config.training.max_context_length = 8192
    config.training.num_tokens_per_microbatch_per_dp_rank = 2 * 8192
    config.training.disable_cuda_graphs = True
    config.activation_checkpoint = FullAC.Config()
    return config
`;

  it("in Python become a job: stages split with the ends lighter by one layer, as torchtitan does", () => {
    const { said, spec } = lint("my_runs.py", python, where);
    expect(said).toEqual([]);
    expect(spec?.strategy).toMatchObject({
      pp: 2,
      numChunks: 2,
      schedule: "interleaved",
      microBatch: 2,
      recompute: { kind: "full" },
    });
    // (32 + 2) layers over 4 stages: 9 9 8 8, of which the embedding and the head take one each.
    expect(spec?.strategy.stageLayers).toEqual([8, 9, 8, 7]);
    expect(spec?.workload.globalBatch).toBe(64);
  });

  it("in Python are told from TOML's words", () => {
    const old = python.replace("config.training.max_context_length = 8192", "config.training.seq_len = 8192");
    expect(lint("my_runs.py", old, where).said.join("\n")).toMatch(
      /11 error: torchtitan has no option training.seq_len/,
    );
    const graphs = python.replace("    config.training.disable_cuda_graphs = True\n", "");
    expect(lint("my_runs.py", graphs, where).said.join("\n")).toMatch(
      /8 error: A pipeline needs training.disable_cuda_graphs/,
    );
  });

  it("in Python are read as keyword arguments too", () => {
    const whole = `from torchtitan.trainer import Trainer
def job() -> Trainer.Config:
    return Trainer.Config(
        training=TrainingConfig(
            num_tokens_per_microbatch_per_dp_rank=8192,
            max_context_length=8192,
        ),
        parallelism=ParallelismConfig(
            tensor_parallel_degree=8,
        ),
        activation_checkpoint=FullAC.Config(),
    )
`;
    const { said, spec } = lint("job.py", whole, { model: "llama-3.1-8b", cluster: "8xh100-sxm" });
    expect(said).toEqual([]);
    expect(spec?.strategy).toMatchObject({ tp: 8, dp: 1, recompute: { kind: "full" } });
    expect(
      lint("job.py", whole.replace("=8,", "=7,"), { model: "llama-3.1-8b", cluster: "8xh100-sxm" }).said.join("\n"),
    ).toMatch(/^9 error: .*tp=7/m);
  });
});

describe("Megatron-Bridge overrides", () => {
  const command = `export CUDA_DEVICE_MAX_CONNECTIONS=1
torchrun --nproc_per_node=8 --nnodes=8 scripts/training/run_recipe.py \\
    --recipe llama31_70b_pretrain_config \\
    train.train_iters=5000 \\
    train.global_batch_size=128 train.micro_batch_size=1 dataset.seq_length=8192 \\
    model.tensor_model_parallel_size=4 \\
    model.pipeline_model_parallel_size=4 \\
    model.virtual_pipeline_model_parallel_size=5 \\
    model.sequence_parallel=true \\
    ddp.use_distributed_optimizer=true ddp.overlap_grad_reduce=false \\
    mixed_precision=bf16_with_fp8_current_scaling_mixed
`;
  const where = { model: "llama-3.1-70b", cluster: "64xh100-sxm" };

  it("become a job", () => {
    const { said, spec, engine } = lint("run.sh", command, where);
    expect(engine).toBe("megatron-bridge");
    expect(said).toEqual([]);
    expect(spec?.strategy).toMatchObject({ tp: 4, pp: 4, numChunks: 5, dp: 4, precision: "fp8", sharding: "zero1" });
    expect(spec?.software).toMatchObject({ overlapGradReduce: false, overlapParamGather: true });
  });

  it.each<[string, string, RegExp]>([
    [
      "model.pipeline_model_parallel_size",
      "model.pipeline_parallel_size",
      /7 error: Unknown key model.pipeline_parallel_size/,
    ],
    [
      "model.sequence_parallel=true",
      "model.sequence_parallel=yes",
      /9 error: model.sequence_parallel is true or false/,
    ],
    [
      "mixed_precision=bf16_with_fp8_current_scaling_mixed",
      "mixed_precision=bf16_mixd",
      /11 error: Unknown mixed precision/,
    ],
    ["train.train_iters=5000", "trian.train_iters=5000", /4 error: A recipe has no section "trian"/],
    [
      "virtual_pipeline_model_parallel_size=5",
      "virtual_pipeline_model_parallel_size=6",
      /8 error: 6 virtual stages do not divide the 20 layers/,
    ],
    ["tensor_model_parallel_size=4", "tensor_model_parallel_size=5", /6 error: /],
  ])("%s -> %s", (from, to, expected) => {
    expect(lint("run.sh", command.replace(from, to), where).said.join("\n")).toMatch(expected);
  });
});

describe("damaged files", () => {
  const job = (software: string, strategy: unknown, model = "mixtral-8x7b") =>
    resolveSpec(
      { model, cluster: "32xb200-sxm", workload: { seq: 4096, global_batch: 256 }, software, strategy },
      sources,
    );
  const mesh = { tp: 2, cp: 2, pp: 2, ep: 2, etp: 1, chunks: 2 };
  const texts = [
    exportSpec("megatron", job("megatron-lm-2025", { ...mesh, sharding: "zero1" })),
    exportSpec("megatron-bridge", job("megatron-bridge-2026", { ...mesh, balance_embedding: true })),
    exportSpec(
      "deepspeed",
      job("deepspeed-hf-2026", { cp: 2, ulysses: 2, ep: 2, etp: 1, sharding: "zero2", recompute: "full" }),
    ),
    exportSpec("torchtitan", job("torchtitan-2025", { ...mesh, sharding: "zero3" })),
    exportSpec("fsdp2", job("pytorch-fsdp2", { sharding: "zero3" }, "llama-3.1-8b")),
  ].flatMap(({ engine, files }) => files.map((file) => ({ engine, ...file })));
  const pieces = [
    "0",
    "-1",
    "3",
    "7",
    "1000000000",
    "99999999999999999999",
    "1.5",
    "03",
    "",
    "abc",
    "(",
    ")",
    "'",
    '"',
    "$",
    "${X",
    "\\",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "=",
    "--",
    "--=",
    "#",
    "|",
    "*9999",
  ];

  it("end in findings, whatever was done to them", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...texts),
        fc.array(
          fc.record({ at: fc.nat(), piece: fc.constantFrom(...pieces), number: fc.boolean(), gone: fc.nat(20) }),
          { minLength: 1, maxLength: 6 },
        ),
        fc.boolean(),
        ({ engine, path, text }, edits, isModelGiven) => {
          let damaged = text;
          for (const { at, piece, number, gone } of edits) {
            const numbers = [...damaged.matchAll(/\d+/g)];
            const hit = numbers[at % Math.max(1, numbers.length)];
            const i = number && hit !== undefined ? hit.index : at % damaged.length;
            damaged =
              damaged.slice(0, i) + piece + damaged.slice(i + (number && hit !== undefined ? hit[0].length : gone));
          }
          try {
            lintConfig({
              fileName: path,
              text: damaged,
              engine,
              cluster: "32xb200-sxm",
              seqLen: 4096,
              sources,
              ...(isModelGiven ? { model: "mixtral-8x7b" } : {}),
            });
          } catch (error) {
            // A file of which nothing is left.
            expect(error).toBeInstanceOf(InputError);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

it("refuses a file that is no configuration by name", () => {
  expect(() => lint("notes.txt", "hello", { cluster: "8xh100-sxm" })).toThrow(/Cannot tell which engine/);
  const starts = (text: string) => () => lint("job.sh", text, { cluster: "8xh100-sxm" });
  expect(starts("torchrun train.py --deepspeed_config ds_config.json")).toThrow(/lint "ds_config.json"/);
  expect(starts("torchrun -m torchtitan.train --module torchtitan_job --config job")).toThrow(
    /lint "torchtitan_job.py"/,
  );
  expect(starts("torchrun \\\n  train_fsdp2.py")).toThrow(/lint "train_fsdp2.py"/);
  expect(lint("x.toml", "a = 1\n", { cluster: "8xh100-sxm" }).said).toEqual([
    "- error: The file holds no torchtitan configuration",
  ]);
});

it("says everything that is wrong with the question at once", () => {
  expect(() => lint("notes.txt", "hello", { cluster: "8xh10O-sxm", model: "lama-3.1-8b" })).toThrow(
    /Cannot tell[\s\S]*h10O[\s\S]*lama/,
  );
});
