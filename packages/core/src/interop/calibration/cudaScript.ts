// The measuring script of `meshwright calibrate --script cuda`: one Python file that needs PyTorch and nothing else, for the user's own GPU node or nodes.
//
// It times what the cost model prices, as the shipped tables were timed: kernels alone on one GPU, operands that the L2 does not hold (copies in turn), CUDA events
// around batches of calls; collectives over all ranks and over the ranks of a node. Run under torchrun for collectives. Rank 0 writes a calibration file.

export const cudaScript = `#!/usr/bin/env python3
"""Measures this machine for Meshwright: matrix products, attention, memory-bound kernels and, under torchrun, collectives.

  python calibrate_cuda.py --out calibration.json                               one GPU
  torchrun --nproc-per-node 8 calibrate_cuda.py --out calibration.json          one node
  torchrun --nnodes 2 --node-rank R --master-addr HOST --nproc-per-node 8 calibrate_cuda.py --out calibration.json

Needs PyTorch 2.1 or newer with CUDA or ROCm. Takes a few minutes; --quick takes less than one.
Then: meshwright predict ... --calibration calibration.json
"""
import argparse
import datetime
import json
import os
import statistics
import subprocess

import torch
import torch.nn.functional as F

# Copies of an operand are used in turn until together they exceed any L2.
FLUSH_BYTES = 512 * 2**20
# Seconds of work a timing should last, so that launches and clocks settle.
TARGET_SEC = 0.15


def log(text):
    if int(os.environ.get("RANK", "0")) == 0:
        print(text, flush=True)


def time_us(call, least_calls=5, agree=lambda calls: calls):
    """Median over three batches of the microseconds of one call; call(i) is the i-th. Ranks of a collective agree on how many calls they make."""
    for i in range(3):
        call(i)
    torch.cuda.synchronize()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for i in range(least_calls):
        call(i)
    end.record()
    torch.cuda.synchronize()
    once = start.elapsed_time(end) / 1e3 / least_calls
    calls = agree(max(least_calls, min(2000, int(TARGET_SEC / 3 / max(once, 1e-7)))))
    samples = []
    for _ in range(3):
        start.record()
        for i in range(calls):
            call(i)
        end.record()
        torch.cuda.synchronize()
        samples.append(start.elapsed_time(end) * 1e3 / calls)
    return round(statistics.median(samples), 3)


def copies(size_bytes, most=64):
    return max(1, min(most, -(-FLUSH_BYTES // max(1, size_bytes))))


def attempt(rows, row, measure):
    """A shape that does not fit or that this build cannot run is left out."""
    try:
        rows.append({**row, "latency_us": measure()})
    except (RuntimeError, AttributeError, TypeError, NotImplementedError) as error:
        log(f"  left out {row}: {str(error).splitlines()[0][:100]}")
    finally:
        torch.cuda.empty_cache()


def gemm_rows(quick):
    rows = []
    tokens = [1024, 8192] if quick else [256, 1024, 2048, 4096, 8192, 16384]
    pairs = [(4096, 4096), (14336, 4096), (4096, 14336)] if quick else [
        (1024, 4096), (4096, 4096), (6144, 4096), (14336, 4096), (4096, 14336),
        (8192, 8192), (28672, 8192), (8192, 28672), (2048, 2048), (5120, 1280), (32000, 4096),
    ]
    for m in tokens:
        for n, k in pairs:
            weight_bytes = 2 * (n * k + m * k)
            num = copies(weight_bytes)

            def tn():
                x = [torch.randn(m, k, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
                w = [torch.randn(n, k, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
                return time_us(lambda i: F.linear(x[i % num], w[i % num]))

            def nn():
                x = [torch.randn(m, k, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
                w = [torch.randn(k, n, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
                return time_us(lambda i: x[i % num] @ w[i % num])

            def nt():
                # The weight gradient: dy^T x, m and n are its rows and columns, k the tokens.
                a = [torch.randn(k, m, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
                b = [torch.randn(k, n, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
                return time_us(lambda i: a[i % num].t() @ b[i % num])

            base = {"m": m, "n": n, "k": k, "dtype": "bf16"}
            attempt(rows, {**base, "layout": "TN"}, tn)
            if not quick:
                attempt(rows, {**base, "layout": "NN"}, nn)
                attempt(rows, {**base, "layout": "NT"}, nt)
            if hasattr(torch, "_scaled_mm") and hasattr(torch, "float8_e4m3fn"):
                def fp8():
                    one = torch.ones((), device="cuda")
                    x = [torch.randn(m, k, device="cuda").to(torch.float8_e4m3fn) for _ in range(num)]
                    w = [torch.randn(n, k, device="cuda").to(torch.float8_e4m3fn) for _ in range(num)]
                    return time_us(lambda i: torch._scaled_mm(
                        x[i % num], w[i % num].t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True))

                attempt(rows, {**base, "dtype": "fp8", "layout": "TN"}, fp8)
        log(f"  gemm: {m} rows done")
    return rows


def attention_rows(quick):
    rows = []
    cases = [(1, 4096, 32, 128)] if quick else [
        (b, s, h, d)
        for b, s in [(4, 1024), (2, 2048), (1, 4096), (1, 8192), (1, 16384), (1, 32768)]
        for h, d in [(8, 128), (32, 128), (32, 64)]
    ]
    for b, s, h, d in cases:
        base = {"batch": b, "seq": s, "heads": h, "head_dim": d, "causal": True, "dtype": "bf16"}

        def operands():
            q = torch.randn(b, h, s, d, device="cuda", dtype=torch.bfloat16, requires_grad=True)
            k, v = (torch.randn(b, h, s, d, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
            return q, k, v

        def forward():
            q, k, v = operands()
            with torch.no_grad():
                return time_us(lambda i: F.scaled_dot_product_attention(q, k, v, is_causal=True))

        def backward():
            q, k, v = operands()
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            grad = torch.randn_like(out)
            return time_us(lambda i: torch.autograd.grad(out, (q, k, v), grad, retain_graph=True))

        attempt(rows, {"phase": "forward", **base}, forward)
        attempt(rows, {"phase": "backward", **base}, backward)
    log("  attention done")
    return rows


def memory_rows(quick):
    rows = []
    widths = [24, 28] if quick else [16, 18, 20, 22, 24, 26, 28, 30]
    for log2 in widths:
        size = 2**log2
        half = size // 4  # elements of bf16 in half the bytes
        num = copies(size)

        def stream():
            a = [torch.randn(half, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
            out = [torch.empty_like(each) for each in a]
            return time_us(lambda i: torch.mul(a[i % num], 2.0, out=out[i % num]))

        attempt(rows, {"access": "stream", "bytes": 2 * 2 * half}, stream)
        width = 4096
        if half >= 4 * width:
            tokens = half // width

            def gather():
                table = torch.randn(tokens, width, device="cuda", dtype=torch.bfloat16)
                index = torch.randperm(tokens, device="cuda")
                out = torch.empty_like(table)
                return time_us(lambda i: torch.index_select(table, 0, index, out=out))

            def reduce():
                x = [torch.randn(tokens, width, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
                return time_us(lambda i: F.layer_norm(x[i % num], (width,)))

            def transpose():
                x = [torch.randn(tokens, width, device="cuda", dtype=torch.bfloat16) for _ in range(num)]
                return time_us(lambda i: x[i % num].t().contiguous())

            attempt(rows, {"access": "gather", "bytes": 4 * tokens * width}, gather)
            attempt(rows, {"access": "reduce", "bytes": 4 * tokens * width}, reduce)
            attempt(rows, {"access": "transpose", "bytes": 4 * tokens * width}, transpose)
    log("  memory-bound kernels done")
    return rows


def collective_rows(quick):
    import torch.distributed as dist

    world, rank = dist.get_world_size(), dist.get_rank()
    per_node = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    groups = [(world, per_node, None)]
    if per_node < world:
        for node in range(world // per_node):
            members = list(range(node * per_node, (node + 1) * per_node))
            group = dist.new_group(members)
            if rank in members:
                groups.append((per_node, per_node, group))
    rows = []
    powers = [20, 26] if quick else list(range(12, 31, 2))
    for ranks, ranks_per_node, group in groups:
        for log2 in powers:
            size = 2**log2
            count = max(ranks, size // 2 // ranks * ranks)
            whole = torch.zeros(count, device="cuda", dtype=torch.bfloat16)
            part = torch.zeros(count // ranks, device="cuda", dtype=torch.bfloat16)
            other = torch.zeros_like(whole)

            def largest(value):
                held = torch.tensor([value], device="cuda", dtype=torch.float64)
                dist.all_reduce(held, op=dist.ReduceOp.MAX, group=group)
                return held.item()

            # A collective is over when its last rank is.
            def timed(call):
                dist.barrier(group=group)
                return round(largest(time_us(call, agree=lambda calls: int(largest(calls)))), 3)

            calls = {
                "all_reduce": lambda i: dist.all_reduce(whole, group=group),
                "all_gather": lambda i: dist.all_gather_into_tensor(whole, part, group=group),
                "reduce_scatter": lambda i: dist.reduce_scatter_tensor(part, whole, group=group),
                "all_to_all": lambda i: dist.all_to_all_single(other, whole, group=group),
            }
            for op, call in calls.items():
                row = {"op": op, "ranks": ranks, "ranks_per_node": ranks_per_node, "bytes": 2 * count}
                rows.append({**row, "latency_us": timed(call)})
            del whole, part, other
        log(f"  collectives over {ranks} ranks done")
    return rows


def software():
    found = {"tool": "meshwright calibrate --script cuda", "torch": torch.__version__}
    found["cuda"] = str(torch.version.cuda or torch.version.hip)
    found["date"] = datetime.date.today().isoformat()
    found["device_name"] = torch.cuda.get_device_name()
    try:
        found["nccl"] = ".".join(str(part) for part in torch.cuda.nccl.version())
        query = "--query-gpu=power.limit,clocks.max.sm,driver_version"
        out = subprocess.run(["nvidia-smi", query, "--format=csv,noheader"], capture_output=True, text=True, timeout=20)
        if out.returncode == 0:
            found["power_limit, clock, driver"] = out.stdout.splitlines()[0].strip()
    except (OSError, RuntimeError, AttributeError, IndexError, subprocess.SubprocessError):
        pass
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="calibration.json", help="file that rank 0 writes")
    parser.add_argument("--quick", action="store_true", help="few shapes: to see that it runs")
    parser.add_argument("--skip", default="", help="parts to leave out: gemm,attention,memory,collectives")
    options = parser.parse_args()
    skip = set(options.skip.split(","))
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no GPU here")
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    torch.manual_seed(0)
    spread = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if spread:
        import torch.distributed as dist

        dist.init_process_group("nccl")
    first = int(os.environ.get("RANK", "0")) == 0
    kernels = {"gemm": [], "attention": [], "memory": []}
    if first:
        log(f"measuring {torch.cuda.get_device_name()}")
        for name, measure in (("gemm", gemm_rows), ("attention", attention_rows), ("memory", memory_rows)):
            if name not in skip:
                kernels[name] = measure(options.quick)
    collectives = []
    if spread:
        import torch.distributed as dist

        # Others wait here while rank 0 measures kernels, so that nothing runs beside them.
        dist.barrier()
        if "collectives" not in skip:
            collectives = collective_rows(options.quick)
    if first:
        result = {
            "format": "meshwright.calibration",
            "version": 1,
            "device": torch.cuda.get_device_name(),
            "measured": software(),
            "kernels": kernels,
            "collectives": collectives,
        }
        with open(options.out, "w") as file:
            json.dump(result, file, indent=1)
        log(f"wrote {options.out}: {sum(len(rows) for rows in kernels.values())} kernels, {len(collectives)} collectives")
    if spread:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
`;
