import { describe, expect, it } from "vitest";
import { InputError } from "../units/errors.ts";
import { deviceByName, deviceNames, devices, findDevice, findPlatform, platforms } from "./catalogue.ts";

describe("the device catalogue", () => {
  it("has sane figures with a source for each", () => {
    expect(devices.length).toBeGreaterThanOrEqual(60);
    expect(new Set(devices.map((d) => d.id)).size).toBe(devices.length);
    for (const device of devices) {
      const peaks = Object.entries(device.peakFlopsPerSec);
      expect(peaks.length, device.id).toBeGreaterThan(0);
      for (const [dtype, rate] of peaks) {
        expect(rate, `${device.id} ${dtype}`).toBeGreaterThan(1e11);
        expect(device.source[dtype], `${device.id} ${dtype}`).toBeDefined();
      }
      for (const key of [
        "memoryBytes",
        "memoryBytesPerSec",
        "units",
        "boostHz",
        "tdpWatts",
        "hostLinkBytesPerSec",
      ] as const) {
        expect(device[key], `${device.id} ${key}`).toBeGreaterThan(0);
        expect(device.source[key], `${device.id} ${key}`).toBeDefined();
      }
      expect(device.idleWatts).toBeLessThan(device.tdpWatts);
      expect(device.scaleUp.bytesPerSec).toBeGreaterThan(0);
    }
    expect(deviceByName("h100").peakFlopsPerSec.bf16).toBe(989e12);
    expect(deviceByName("h100").memoryBytesPerSec).toBe(3.35e12);
    expect(deviceByName("b200").peakFlopsPerSec.nvfp4).toBe(9000e12);
  });

  it.each([
    ["h100-sxm", "h100_sxm"],
    ["H100", "h100_sxm"],
    ["H100-SXM5-80GB", "h100_sxm"],
    ["NVIDIA H100 80GB HBM3", "h100_sxm"],
    ["H100-SXM5-96GB-HBM2e", "h100_sxm_96"],
    ["H100-PCIe-80GB", "h100_pcie"],
    ["a100-80g", "a100_sxm"],
    ["a100-40g", "a100_sxm_40"],
    ["A100-SXM4-40GB", "a100_sxm_40"],
    ["NVIDIA A100 80GB PCIe", "a100_pcie"],
    ["A800-SXM4-80GB", "a800_sxm"],
    ["B200-SXM-180GB", "b200_sxm"],
    ["gb200-nvl72", "gb200"],
    ["TPU-v5p", "tpu_v5p"],
    ["tpu-v5e", "tpu_v5e"],
    ["mi250x", "mi250x"],
    ["MI300X-192GB", "mi300x"],
    ["L40S-48GB", "l40s"],
    ["gh200-480gb", "gh200_96"],
    ["rtx-pro-6000-blackwell", "rtx_pro_6000_server"],
    ["trn1.32xlarge", "trn1"],
    ["A100-PCIe-40GB", "a100_pcie_40"],
    ["p4d.24xlarge", "a100_sxm_40"],
    ["HGX-B300", "b300_sxm"],
    ["GB200 NVL36", "gb200"],
    ["H100-NVL-94GB", "h100_nvl"],
    ["Tesla P100", "p100_pcie"],
    ["NVIDIA L40", "l40"],
    ["Intel Data Center GPU Max 1550", "max_1550"],
    ["Gaudi 3 HL-325L", "gaudi3"],
    ["Ascend-910B", "ascend_910b"],
    ["MI350X", "mi350x"],
    ["TPU7x", "tpu_v7"],
  ])("finds %s", (name, id) => {
    expect(deviceByName(name).id).toBe(id);
  });

  it("finds every catalogue name and id, and each platform's device", () => {
    for (const device of devices) {
      expect(findDevice(device.id)?.id).toBe(device.id);
      expect(findDevice(device.name)?.id, device.name).toBe(device.id);
    }
    for (const name of deviceNames()) expect(findDevice(name), name).toBeDefined();
    for (const platform of platforms) {
      expect(findDevice(platform.device)?.id).toBe(platform.device);
      expect(findPlatform(platform.id.replaceAll("_", "-"))).toBe(platform);
    }
  });

  it("does not guess: a memory size no part has, or an unknown name, is refused with the nearest name", () => {
    expect(findDevice("H100-SXM5-48GB")).toBeUndefined();
    expect(() => deviceByName("h10O-sxm")).toThrow(/Unknown device "h10O-sxm" \(did you mean "h100-sxm"\)/);
    expect(() => deviceByName("abacus")).toThrow(InputError);
  });
});
