import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "./errors.ts";
import { formatBytes, formatRate, formatSeconds } from "./format.ts";
import { parseBytes, parseQuantity, parseSeconds } from "./parse.ts";

describe("parse", () => {
  it("reads sizes in decimal, binary and bits", () => {
    expect(parseBytes("80GiB")).toBe(80 * 2 ** 30);
    expect(parseBytes("512 MB")).toBe(512e6);
    expect(parseBytes("80G")).toBe(80e9);
    expect(parseBytes("1.5 TiB")).toBe(1.5 * 2 ** 40);
    expect(parseBytes(4096)).toBe(4096);
    expect(parseBytes("8Gb")).toBe(1e9);
    expect(parseBytes("1,024")).toBe(1024);
  });

  it("tells bits from bytes in rates", () => {
    expect(parseQuantity("400Gb/s", "rate")).toBe(50e9);
    expect(parseQuantity("400 Gbps", "rate")).toBe(50e9);
    expect(parseQuantity("25GBps", "rate")).toBe(25e9);
    expect(parseQuantity("3.35TB/s", "rate")).toBe(3.35e12);
    expect(parseQuantity("31.5 GB/s", "rate")).toBe(31.5e9);
    expect(parseQuantity(5e10, "rate")).toBe(5e10);
  });

  it("reads times, operations, powers, frequencies, money", () => {
    expect(parseSeconds("5us")).toBeCloseTo(5e-6, 12);
    expect(parseSeconds("5µs")).toBeCloseTo(5e-6, 12);
    expect(parseSeconds("1.5 ms")).toBeCloseTo(1.5e-3, 12);
    expect(parseSeconds("2h")).toBe(7200);
    expect(parseQuantity("989TFLOP/s", "flopRate")).toBe(989e12);
    expect(parseQuantity("989 TFLOPS", "flopRate")).toBe(989e12);
    expect(parseQuantity("989T", "flopRate")).toBe(989e12);
    expect(parseQuantity("2.1 PFLOP", "flops")).toBe(2.1e15);
    expect(parseQuantity("700W", "watts")).toBe(700);
    expect(parseQuantity("1.83GHz", "hertz")).toBe(1.83e9);
    expect(parseQuantity("4k", "count")).toBe(4000);
    expect(parseQuantity("$2.50", "usd")).toBe(2.5);
    expect(parseQuantity("2.5 USD", "usd")).toBe(2.5);
  });

  it("refuses what it cannot read, with the path and an example", () => {
    for (const bad of [
      "",
      "fast",
      "-3GB",
      "12 parsecs",
      Number.NaN,
      -1,
      null,
      undefined,
      {},
      "$3",
      "1.2.3GB",
      Number.POSITIVE_INFINITY,
    ]) {
      expect(() => parseBytes(bad, "device.memory")).toThrow(InputError);
    }
    expect(() => parseBytes("80GHz", "device.memory")).toThrow(/device\.memory: Cannot read "80GHz" as a size/);
    expect(() => parseQuantity("400", "rate", "x")).not.toThrow();
    expect(() => parseSeconds("5GB")).toThrow(/as a time/);
  });

  it("reads back what format writes, to three digits", () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e15, noNaN: true }), (value) => {
        expect(Math.abs(parseBytes(formatBytes(value)) / value - 1)).toBeLessThan(0.006);
        expect(Math.abs(parseQuantity(formatRate(value), "rate") / value - 1)).toBeLessThan(0.006);
        if (value < 1e8)
          expect(Math.abs(parseSeconds(formatSeconds(value * 1e-6)) / (value * 1e-6) - 1)).toBeLessThan(0.006);
      }),
    );
  });
});
