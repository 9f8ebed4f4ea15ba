import { describe, expect, it } from "vitest";
import { InputError } from "../../units/errors.ts";
import { softwareForRow, softwareNames, softwarePreset } from "./index.ts";

describe("softwarePreset()", () => {
  it("returns every preset under its own name", () => {
    expect(softwareNames().length).toBeGreaterThan(20);
    for (const name of softwareNames()) expect(softwarePreset(name).name).toBe(name);
  });

  it("takes the newest preset of a family named without a date", () => {
    expect(softwarePreset("megatron-bridge").name).toBe("megatron-bridge-2026");
    expect(softwarePreset("torchtitan").name).toBe("torchtitan-2025");
  });

  it("names the nearest preset in the error", () => {
    expect(() => softwarePreset("torchtitn-2024")).toThrow(InputError);
    expect(() => softwarePreset("torchtitn-2024")).toThrow(/did you mean "torchtitan-2024"/);
    expect(() => softwarePreset("megatron-cor")).toThrow(/did you mean "megatron-core"/);
  });

  it("holds figures in base units within physical bounds", () => {
    for (const name of softwareNames()) {
      const software = softwarePreset(name);
      expect(software.hostSecPerKernel).toBeGreaterThan(0);
      expect(software.hostSecPerKernel).toBeLessThan(5e-5);
      expect(software.reservedBytes).toBeLessThan(8 * 2 ** 30);
      expect(software.source.length).toBeGreaterThan(10);
    }
  });
});

describe("softwareForRow()", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["Megatron-LM", "2021-04 (commit 6985e589)", "megatron-2021"],
    ["Megatron-LM", "2022-05", "megatron-2022"],
    ["Megatron-DeepSpeed (BigScience fork)", "2022-02-25", "megatron-deepspeed-2022"],
    ["Megatron-Bridge (NeMo)", "NeMo container 25.09", "megatron-bridge-2025"],
    ["Megatron-Bridge (NeMo)", "NeMo container 26.04.01", "megatron-bridge-2026"],
    ["NeMo/Megatron-Core", "MLPerf Training v3.1", "nemo-2023"],
    ["NeMo/Megatron-Core", "NeMo container 24.07 (2024-09-09 final numbers)", "nemo-2024"],
    ["NeMo 2 / Megatron-Core", "dgxc-benchmarking 25.05.04", "megatron-core-2025"],
    ["NeMo Megatron", "22.01", "nemo-2022"],
    ["Megatron-Core CI", "2026-08", "megatron-lm-2025"],
    ["Megatron-LM (SimuMax scripts)", "2026-04", "megatron-simumax-2026"],
    ["Composer/llm-foundry (PyTorch FSDP1)", "llm-foundry table of 2024-01-06", "llm-foundry-2023"],
    ["torchtitan (FSDP2)", "2024-12-26", "torchtitan-2024"],
    ["DeepSpeed ZeRO-3 + HF + Liger", "2026-08", "deepspeed-hf-2026"],
    ["LitGPT (thunder nvfuser)", "2024", "litgpt-2024-thunder"],
    ["lit-gpt fork (PyTorch FSDP + flash-attn 2 + fused kernels)", "2023-09", "litgpt-2023"],
    ["MaxText/PAX (JAX)", "MLPerf Training v4.0", "maxtext"],
    ["Meta internal", "2024-07", "llama3-meta-2024"],
    ["ColossalAI", "2025", "colossalai-2025"],
    ["Fast-LLM", "2024-11", "fast-llm-2024"],
    ["InternEvo", "2023-11", "internevo-2023"],
  ];
  it.each(cases)("%s, %s is %s", (framework, version, expected) => {
    expect(softwareForRow(framework, version)).toMatchObject({ software: { name: expected }, note: null });
  });

  it("falls back to the generic stack with a note", () => {
    const choice = softwareForRow("Zorblax", "2031");
    expect(choice.software.name).toBe("generic");
    expect(choice.note).toContain("Zorblax");
  });
});
