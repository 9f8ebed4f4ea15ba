// A PyTorch that computes nothing: enough of its surface for the measuring script to run from end to end without a GPU. Every timing is one millisecond a batch.

export const fakeTorch = `
import contextlib
class Tensor:
    def __init__(self, *shape): self.shape = shape; self.value = 1.0
    def __matmul__(self, other): return Tensor()
    def t(self): return self
    def to(self, dtype): return self
    def contiguous(self): return self
    def item(self): return self.value
class _Version: cuda = "12.4"; hip = None
version = _Version()
__version__ = "2.6.0"
bfloat16 = "bf16"; float64 = "f64"; float8_e4m3fn = "fp8"
def _make(*shape, **_): return Tensor(*shape)
randn = zeros = ones = randperm = _make
def tensor(values, **_):
    made = Tensor(len(values)); made.value = float(values[0]); return made
def empty_like(x): return Tensor(*x.shape)
randn_like = zeros_like = empty_like
def mul(a, b, out=None): return out
def index_select(table, dim, index, out=None): return out
def _scaled_mm(*_, **__): return Tensor()
def manual_seed(seed): pass
no_grad = contextlib.nullcontext
class _Event:
    def __init__(self, enable_timing): pass
    def record(self): pass
    def elapsed_time(self, other): return 1.0
class cuda:
    Event = _Event
    class nccl:
        @staticmethod
        def version(): return (2, 21, 5)
    @staticmethod
    def synchronize(): pass
    @staticmethod
    def empty_cache(): pass
    @staticmethod
    def is_available(): return True
    @staticmethod
    def set_device(i): pass
    @staticmethod
    def get_device_name(): return "NVIDIA H100 80GB HBM3"
class autograd:
    @staticmethod
    def grad(*_, **__): return None
`;

export const fakeFunctional = `
def linear(x, w): return x
def layer_norm(x, shape): return x
def scaled_dot_product_attention(q, k, v, is_causal): return q
`;

export const fakeDistributed = `
class ReduceOp: MAX = "max"
def init_process_group(backend): pass
def destroy_process_group(): pass
def get_world_size(): return 16
def get_rank(): return 0
def new_group(members): return tuple(members)
def barrier(group=None): pass
def all_reduce(x, op=None, group=None): pass
def all_gather_into_tensor(out, x, group=None): pass
def reduce_scatter_tensor(out, x, group=None): pass
def all_to_all_single(out, x, group=None): pass
`;
