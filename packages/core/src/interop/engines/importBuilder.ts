// Gathers what an importer reads: fields of a description with the place each came from, and findings.

import type { EngineName } from "../../parallel/software/engineLimits.ts";
import type { ConfigFinding, EngineImport, Place, Section } from "./contract.ts";

export class ImportBuilder {
  readonly engine: EngineName;
  readonly findings: ConfigFinding[] = [];
  private readonly sections: Record<"model" | "workload" | "strategy" | "software", Record<string, unknown>> = {
    model: {},
    workload: {},
    strategy: {},
    software: {},
  };
  private readonly places = new Map<string, Place>();

  constructor(engine: EngineName, preset: string) {
    this.engine = engine;
    this.sections.software["preset"] = preset;
  }

  /** @param path such as `strategy.tp`.  @param place where the text says so; undefined when it follows from the engine's default. */
  set(path: string, value: unknown, place?: Place): void {
    const [section, key] = path.split(".") as ["model" | "workload" | "strategy" | "software", string];
    this.sections[section][key] = value;
    if (place !== undefined) this.places.set(path, place);
  }

  /** Fields without a place of their own, such as a whole section worked out elsewhere. */
  merge(section: "model" | "workload" | "strategy" | "software", fields: Section): void {
    Object.assign(this.sections[section], fields);
  }

  error(place: Place | undefined, message: string, hint?: string): void {
    this.find("error", place, message, hint);
  }

  warn(place: Place | undefined, message: string, hint?: string): void {
    this.find("warning", place, message, hint);
  }

  private find(severity: "error" | "warning", place: Place | undefined, message: string, hint?: string): void {
    const line = place?.line ?? null;
    // A value that several readers look at is wrong once.
    if (this.findings.some((known) => known.line === line && known.message === message)) return;
    this.findings.push({
      severity,
      line,
      at: place?.at ?? "",
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  build(numDevices?: number): EngineImport {
    const { model, workload, strategy, software } = this.sections;
    return {
      engine: this.engine,
      ...(Object.keys(model).length === 0 ? {} : { model }),
      workload,
      strategy,
      software,
      ...(numDevices === undefined ? {} : { numDevices }),
      findings: this.findings,
      placeOf: (path) => this.places.get(path),
    };
  }
}
