export { cudaScript } from "./cudaScript.ts";
export { type CalibrationImport, importCalibration, type MeasuredFile } from "./importCalibration.ts";
