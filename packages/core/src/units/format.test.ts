import { describe, expect, it } from "vitest";
import {
  formatBitRate,
  formatBytes,
  formatCount,
  formatFlopRate,
  formatPercent,
  formatRate,
  formatSeconds,
  formatUsd,
  grouped,
} from "./format.ts";

describe("format", () => {
  it("shows three digits and the fitting prefix", () => {
    expect(formatBytes(512)).toBe("512 B");
    expect(formatBytes(80 * 2 ** 30)).toBe("80.0 GiB");
    expect(formatBytes(1024 ** 2 - 1)).toBe("1.00 MiB");
    expect(formatBytes(0)).toBe("0 B");
    expect(formatBytes(-1536)).toBe("-1.50 KiB");
    expect(formatRate(3.35e12)).toBe("3.35 TB/s");
    expect(formatRate(999.9e9)).toBe("1.00 TB/s");
    expect(formatBitRate(50e9)).toBe("400 Gb/s");
    expect(formatFlopRate(989e12)).toBe("989 TFLOP/s");
    expect(formatCount(70.6e9)).toBe("70.6B");
    expect(formatCount(42)).toBe("42");
    expect(grouped(405850000)).toBe("405,850,000");
    expect(formatPercent(0.423)).toBe("42.3 %");
    expect(formatPercent(0.0123)).toBe("1.23 %");
  });

  it("changes the unit of time with its size", () => {
    expect(formatSeconds(0)).toBe("0 s");
    expect(formatSeconds(250e-9)).toBe("250 ns");
    expect(formatSeconds(12.34e-6)).toBe("12.3 us");
    expect(formatSeconds(999.9e-6)).toBe("1.00 ms");
    expect(formatSeconds(4.56e-3)).toBe("4.56 ms");
    expect(formatSeconds(1.2)).toBe("1.20 s");
    expect(formatSeconds(200)).toBe("3 min 20 s");
    expect(formatSeconds(3600 * 5 + 60 * 12)).toBe("5 h 12 min");
    expect(formatSeconds(3599.8)).toBe("1 h");
    expect(formatSeconds(86400 * 3 + 3600 * 4)).toBe("3 d 4 h");
  });

  it("shows money", () => {
    expect(formatUsd(0)).toBe("$0");
    expect(formatUsd(2.5)).toBe("$2.50");
    expect(formatUsd(12345)).toBe("$12,345");
    expect(formatUsd(1.2e6)).toBe("$1.20M");
    expect(formatUsd(0.0042)).toBe("$0.0042");
  });
});
