// The text of the FSDP2 training script after its settings: a decoder in plain PyTorch, sharded with fully_shard, trained on random tokens. Users put
// their data where `batches` makes some up.
//
// Source of the calls: torch.distributed.fsdp.fully_shard, MixedPrecisionPolicy, FSDPModule.set_reshard_after_backward; torch.utils.checkpoint.

export const fsdp2Imports = `import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
`;

export const fsdp2Body = `
ACTIVATIONS = {
    "silu": F.silu,
    "gelu": F.gelu,
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "tanh": torch.tanh,
}


def norm(width):
    return nn.RMSNorm(width) if NORM == "rmsnorm" else nn.LayerNorm(width)


def rope_angles(device):
    width = int(HEAD_DIM * ROPE_FRACTION) // 2 * 2
    frequencies = ROPE_BASE ** (-torch.arange(0, width, 2, device=device).float() / width)
    angles = torch.outer(torch.arange(SEQ_LEN, device=device).float(), frequencies)
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    width = 2 * cos.shape[-1]
    turned, rest = x[..., :width].float(), x[..., width:]
    a, b = turned.chunk(2, dim=-1)
    turned = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    return torch.cat((turned.type_as(x), rest), dim=-1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(HIDDEN, HEADS * HEAD_DIM, bias=QKV_BIAS)
        self.k = nn.Linear(HIDDEN, KV_HEADS * HEAD_DIM, bias=QKV_BIAS)
        self.v = nn.Linear(HIDDEN, KV_HEADS * HEAD_DIM, bias=QKV_BIAS)
        self.out = nn.Linear(HEADS * HEAD_DIM, HIDDEN, bias=OUT_BIAS)
        self.q_norm = norm(HEAD_DIM) if QK_NORM else nn.Identity()
        self.k_norm = norm(HEAD_DIM) if QK_NORM else nn.Identity()

    def forward(self, x, cos, sin):
        batch, tokens, _ = x.shape
        q = self.q_norm(self.q(x).view(batch, tokens, HEADS, HEAD_DIM)).transpose(1, 2)
        k = self.k_norm(self.k(x).view(batch, tokens, KV_HEADS, HEAD_DIM)).transpose(1, 2)
        v = self.v(x).view(batch, tokens, KV_HEADS, HEAD_DIM).transpose(1, 2)
        if POSITIONS == "rope":
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=KV_HEADS != HEADS)
        return self.out(y.transpose(1, 2).reshape(batch, tokens, HEADS * HEAD_DIM))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(HIDDEN, FFN, bias=FFN_BIAS)
        self.gate = nn.Linear(HIDDEN, FFN, bias=FFN_BIAS) if GATED else None
        self.down = nn.Linear(FFN, HIDDEN, bias=FFN_BIAS)

    def forward(self, x):
        act = ACTIVATIONS[ACTIVATION]
        return self.down(act(self.up(x)) if self.gate is None else act(self.gate(x)) * self.up(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.attention = norm(HIDDEN), Attention()
        self.ffn_norm, self.ffn = norm(HIDDEN), FeedForward()

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.ffn(self.ffn_norm(x))


class Group(nn.Module):
    """Layers that are gathered, and recomputed, together."""

    def __init__(self, count):
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(count))

    def run(self, x, cos, sin):
        for layer in self.layers:
            x = layer(x, cos, sin)
        return x

    def forward(self, x, cos, sin):
        if RECOMPUTE_EVERY > 0:
            return checkpoint(self.run, x, cos, sin, use_reentrant=False)
        return self.run(x, cos, sin)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, HIDDEN)
        self.positions = nn.Embedding(LEARNED_POSITIONS, HIDDEN) if POSITIONS == "learned" else None
        size = max(1, RECOMPUTE_EVERY)
        self.groups = nn.ModuleList(Group(min(size, LAYERS - i)) for i in range(0, LAYERS, size))
        self.norm = norm(HIDDEN)
        self.head = nn.Linear(HIDDEN, VOCAB, bias=HEAD_BIAS)
        if TIED:
            self.head.weight = self.embedding.weight

    def forward(self, tokens):
        cos, sin = rope_angles(tokens.device) if POSITIONS == "rope" else (None, None)
        x = self.embedding(tokens)
        if self.positions is not None:
            x = x + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for group in self.groups:
            x = group(x, cos, sin)
        return self.head(self.norm(x))


def shard(model, rank):
    policy = MixedPrecisionPolicy(param_dtype=getattr(torch, PARAM_DTYPE), reduce_dtype=getattr(torch, REDUCE_DTYPE))
    if SHARD == 1:
        return model if REPLICATE == 1 else DistributedDataParallel(model, device_ids=[rank])
    mesh = (
        init_device_mesh("cuda", (REPLICATE, SHARD), mesh_dim_names=("replicate", "shard"))
        if REPLICATE > 1
        else init_device_mesh("cuda", (SHARD,), mesh_dim_names=("shard",))
    )
    for group in model.groups:
        fully_shard(group, mesh=mesh, mp_policy=policy, reshard_after_forward=RESHARD_AFTER_FORWARD)
    return fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=RESHARD_AFTER_FORWARD)


def batches(device):
    generator = torch.Generator(device=device).manual_seed(dist.get_rank())
    while True:
        yield torch.randint(0, VOCAB, (MICRO_BATCH, SEQ_LEN + 1), device=device, generator=generator)


def main():
    dist.init_process_group("nccl")
    local = dist.get_rank() % torch.cuda.device_count()
    torch.cuda.set_device(local)
    device = torch.device("cuda", local)
    world = dist.get_world_size()
    assert world == REPLICATE * SHARD, f"this job is for {REPLICATE * SHARD} processes, not {world}"
    accumulate = GLOBAL_BATCH // (MICRO_BATCH * world)
    torch.manual_seed(0)
    with torch.device("meta"):
        model = Decoder()
    if SHARD == 1:
        model = model.to_empty(device=device)
        model.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
        model = shard(model, local)
    else:
        model = shard(model, local)
        model.to_empty(device=device)
        model.apply(lambda module: module.reset_parameters() if hasattr(module, "reset_parameters") else None)
    if COMPILE:
        for group in model.groups if SHARD > 1 else []:
            group.compile()
    if OPTIMIZER == "adamw":
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    data = batches(device)
    for step in range(STEPS):
        start = time.perf_counter()
        for i in range(accumulate):
            is_last = i == accumulate - 1
            if KEEP_GATHERED and SHARD > 1:
                # Parameters stay gathered until the step's last backward (ZeRO-2).
                model.set_reshard_after_backward(is_last)
            tokens = next(data)
            offload = torch.autograd.graph.save_on_cpu(pin_memory=True) if OFFLOAD_ACTIVATIONS else None
            amp = torch.autocast("cuda", dtype=torch.bfloat16, enabled=SHARD == 1 and PARAM_DTYPE == "bfloat16")
            if SHARD == 1 and REPLICATE > 1:
                model.require_backward_grad_sync = is_last
            with amp:
                if offload is None:
                    logits = model(tokens[:, :-1])
                else:
                    with offload:
                        logits = model(tokens[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
            (loss / accumulate).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        if dist.get_rank() == 0:
            seconds = time.perf_counter() - start
            print(f"step {step}: loss {loss.item():.3f}, {seconds:.3f} s, {GLOBAL_BATCH * SEQ_LEN / seconds / world:,.0f} tokens/s/GPU", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
`;
