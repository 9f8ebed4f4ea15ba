#!/bin/bash
# A launch script of Megatron-LM with mistakes in it, as they happen. What is wrong:
#   meshwright lint examples/lint/pretrain.sh --cluster 64xh100-sxm

TP=${TP:-8}
PP=${PP:-4}
NNODES=${SLURM_NNODES:-8}

DISTRIBUTED=(
  --nproc-per-node 8
  --nnodes $NNODES
)

MODEL=(
  --use-mcore-models
  --num-layers 32
  --hidden-size 4096
  --ffn-hidden-size 14336
  --num-attention-heads 32
  --group-query-attention
  --num-query-groups 8
  --num-experts 8
  --moe-router-topk 2
  --seq-length 4096
  --max-position-embeddings 4096
  --swiglu
  --normalization RMSNorm
  --position-embedding-type rope
  --untie-embeddings-and-output-weights
  --disable-bias-linear
  --vocab-size 32000
)

PARALLEL=(
  --tensor-model-parallel-size $TP
  --pipeline-model-parallel-size $PP
  --num-layers-per-virtual-pipeline-stage 3
  --expert-model-parallel-size 2
  --sequence-parallell
  --use-distributed-optimizer
)

TRAINING=(
  --micro-batch-size 1
  --global-batch-size 129
  --bf16
  --optimizer adam
  --lr 1e-4
  --train-iters 1000
  --mock-data
  --tokenizer-type NullTokenizer
)

torchrun "${DISTRIBUTED[@]}" pretrain_gpt.py "${MODEL[@]}" "${PARALLEL[@]}" "${TRAINING[@]}"
