// Writes one block: forward ops as they are emitted, and a tape from which backward falls out in reverse order. Every emission
// function (linear, norm, attention...) appends its forward ops and pushes one closure that appends its backward ops, so a layer
// that is lowered forward cannot forget a gradient.
//
// Gradients: `gradOf` gives the buffer that holds d(value). A value with one consumer gets it written directly; a further consumer
// writes to a buffer of its own and an add joins them. `alias` lets a residual add hand its gradient on without a copy.

import type { DType } from "../../units/dtype.ts";
import { assert } from "../../units/errors.ts";
import type { Block, BufferDecl, BufferId, BufferView, Op, ParamSlice } from "../program.ts";
import type { RecomputeModule } from "../strategy.ts";
import type { Context } from "./context.ts";
import type { MuonSite } from "./muon.ts";

/** A matrix of activations on this rank. `layout`-dependent splits are known to whoever emits. */
export interface Value {
  readonly id: BufferId;
  readonly rows: number;
  readonly width: number;
}

/** A parameter as the layer code sees it: the working copy to multiply with, and where its gradient goes. */
export interface Param {
  /** Working copy: persistent, or gathered from shards. */
  readonly id: BufferId;
  /** Gradient of the whole working copy. */
  readonly grad: BufferId;
  /** The gradient is a fresh buffer of this micro-batch (zero2, zero3): the first write does not accumulate. */
  readonly gradFresh: boolean;
  readonly slice: ParamSlice;
  readonly expert: boolean;
}

export class BlockBuilder {
  readonly context: Context;
  readonly name: string;
  readonly buffers: BufferDecl[] = [];
  readonly forward: Op[] = [];
  readonly backward: Op[] = [];
  readonly gather: Op[] = [];
  readonly reduce: Op[] = [];
  /** Additions of freshly reduced shards into persistent ones, after the collectives. */
  readonly reduceAdds: Op[] = [];
  /** Gathered parameters copied to where they are used, after the collectives. */
  readonly unpacks: Op[] = [];
  /** Gradients brought to the format and place of the wire, before the data-parallel collectives. */
  readonly reduceCasts: Op[] = [];
  readonly update: Op[] = [];
  /** Parameters whose matrices Muon deals to ranks, all of the block together. */
  readonly muonSites: MuonSite[] = [];
  readonly params: Param[] = [];
  /** Where each parameter's reduced gradient (what the optimizer reads) lies, by parameter name. */
  readonly reducedGrads = new Map<string, BufferId>();
  /** Modules each forward op lies in (they nest: an activation inside an ffn), for selective recompute. */
  readonly modules: (readonly RecomputeModule[])[] = [];
  private module: readonly RecomputeModule[] = [];
  private readonly tape: (() => void)[] = [];
  private readonly grads = new Map<BufferId, BufferId>();
  private readonly windowBase = new Map<BufferId, Value>();
  private readonly writtenGrads = new Set<BufferId>();
  private recording = true;

  constructor(context: Context, name: string) {
    this.context = context;
    this.name = name;
  }

  buffer(decl: Omit<BufferDecl, "tier"> & Partial<Pick<BufferDecl, "tier">>): BufferId {
    this.buffers.push({ tier: "hbm", ...decl });
    return this.buffers.length - 1;
  }

  value(name: string, rows: number, width: number, dtype: DType = this.context.actDtype): Value {
    assert(
      rows > 0 && width > 0 && Number.isInteger(rows) && Number.isInteger(width),
      `${this.name}.${name} has shape ${rows} x ${width}`,
    );
    return { id: this.buffer({ name, shape: [rows, width], dtype, kind: "activation", scope: "micro" }), rows, width };
  }

  /** A window of columns of a value. */
  columns(of: Value, name: string, from: number, width: number): Value {
    const base = this.buffers[of.id]!;
    const view: BufferView = { kind: "columns", of: of.id, from };
    const window = {
      id: this.buffer({ name, shape: [of.rows, width], dtype: base.dtype, kind: base.kind, scope: base.scope, view }),
      rows: of.rows,
      width,
    };
    this.windowBase.set(window.id, of);
    return window;
  }

  emit(op: Op): void {
    if (this.recording) {
      this.forward.push(op);
      this.modules.push(this.module);
    } else this.backward.push(op);
  }

  /** Everything emitted inside belongs to `module` for selective recompute. */
  within<T>(module: RecomputeModule, emitAll: () => T): T {
    const outer = this.module;
    this.module = [...outer, module];
    const result = emitAll();
    this.module = outer;
    return result;
  }

  onBackward(emitGradients: () => void): void {
    this.tape.push(emitGradients);
  }

  /** Runs the tape. Call once, after forward is complete and the gradient of the block's output is declared. */
  runBackward(): void {
    this.recording = false;
    for (let i = this.tape.length - 1; i >= 0; i--) this.tape[i]!();
  }

  /** Buffer with the gradient of `value`; asserts that some consumer has written it. */
  gradOf(value: Value): BufferId {
    const grad = this.grads.get(value.id);
    assert(grad !== undefined, `${this.name}: nothing wrote the gradient of ${this.buffers[value.id]!.name}`);
    return grad;
  }

  hasGrad(value: Value): boolean {
    return this.grads.has(value.id);
  }

  /** Declares where the gradient of a value arrives from outside (block output). */
  setGrad(value: Value, grad: BufferId): void {
    this.grads.set(value.id, grad);
  }

  /** The gradient of `value` equals an existing gradient buffer, which is not to be overwritten. */
  aliasGrad(value: Value, grad: BufferId): void {
    const present = this.grads.get(value.id);
    const base = this.windowBase.get(value.id);
    if (base !== undefined) {
      this.contribute(value, (target) => this.emit({ kind: "copy", stream: "compute", x: grad, out: target }));
      return;
    }
    if (present === undefined) {
      this.grads.set(value.id, grad);
      return;
    }
    const sum = this.value(
      `d.${this.buffers[value.id]!.name}.sum`,
      value.rows,
      value.width,
      this.buffers[value.id]!.dtype,
    );
    this.emit({ kind: "add", stream: "compute", a: present, b: grad, out: sum.id });
    this.grads.set(value.id, sum.id);
  }

  /**
   * Lets `write` fill a gradient contribution of `value` in the buffer it is given; joins it with what is there.
   * The first contribution to a column window goes straight into the matching window of the base's gradient. A join may overwrite the
   * fresh contribution but never a gradient somebody else still reads.
   */
  contribute(value: Value, write: (grad: BufferId) => void): void {
    const decl = this.buffers[value.id]!;
    const base = this.windowBase.get(value.id);
    const present = this.grads.get(value.id);
    if (base !== undefined && present === undefined) {
      const target = this.gradWindow(base, value);
      write(target);
      this.grads.set(value.id, target);
      return;
    }
    const fresh = this.value(`d.${decl.name}`, value.rows, value.width, decl.dtype);
    write(fresh.id);
    if (present !== undefined) {
      const out = base === undefined ? fresh.id : present;
      this.emit({
        kind: "add",
        stream: "compute",
        a: fresh.id,
        b: present,
        out,
        fused: this.context.software.compiled,
      });
      this.grads.set(value.id, out);
    } else this.grads.set(value.id, fresh.id);
  }

  /** Gradient buffer for a column view of `base`: the matching window of the base's gradient, made on first use. */
  private gradWindow(base: Value, window: Value): BufferId {
    let grad = this.grads.get(base.id);
    const decl = this.buffers[base.id]!;
    if (grad === undefined) {
      grad = this.value(`d.${decl.name}`, base.rows, base.width, decl.dtype).id;
      this.grads.set(base.id, grad);
    }
    const view = this.buffers[window.id]!.view;
    assert(
      view !== undefined && view.kind === "columns" && view.of === base.id,
      `${this.buffers[window.id]!.name} is a window of ${decl.name}`,
    );
    return this.buffer({
      name: `d.${this.buffers[window.id]!.name}`,
      shape: [window.rows, window.width],
      dtype: decl.dtype,
      kind: "activation",
      scope: "micro",
      view: { kind: "columns", of: grad, from: view.from },
    });
  }

  /** True the first time a weight gradient is written in this block (fresh gradients start by overwriting). */
  accumulates(param: Param): boolean {
    if (!param.gradFresh) return true;
    if (this.writtenGrads.has(param.grad)) return true;
    this.writtenGrads.add(param.grad);
    return false;
  }

  build(ends: Pick<Block, "inputs" | "outputs" | "gradInputs" | "gradOutputs">): Block {
    return {
      name: this.name,
      buffers: this.buffers,
      ...ends,
      gather: [...this.gather, ...this.unpacks],
      forward: this.forward,
      recompute: [],
      backward: this.backward,
      reduce: [
        ...this.reduce.filter(overTp),
        ...this.reduceCasts,
        ...this.reduce.filter((op) => !overTp(op)),
        ...this.reduceAdds,
      ],
      update: this.update,
    };
  }
}

function overTp(op: Op): boolean {
  return op.kind === "collective" && (op.axis === "tp" || op.axis === "kvReplica");
}
