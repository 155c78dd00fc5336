/**
 * `tsftp/jobs`: the parts of a queue that are special to SFTP, for any queue: plans as streams of steps, steps that can be
 * carried out again, a pool of connections, and scans for new files. Whatever crosses a process is plain JSON.
 */
export { type ClaimOptions, claim } from './claim.js';
export type { Completion } from './completion.js';
export { ConnectionPool, type Lease, type PoolMetrics } from './connection-pool.js';
export { CHANNELS, type PoolEvent, type StepEvent, writeEvents } from './events.js';
export { type ExecuteStepOptions, executeStep, type StepResult } from './execute-step.js';
export { type PlanMirrorOptions, planMirror } from './plan-mirror.js';
export type { ConnectionPoolOptions, Permit } from './pool-options.js';
export { type ScannedFile, type ScanOptions, type ScanResult, scan } from './scan.js';
export type { ScanState, ScanStore } from './scan-state.js';
export {
  parseServer,
  type ResolveServer,
  SERVER_SCHEMA,
  type ServerDescription,
} from './server-description.js';
export { parseStep, STEP_SCHEMA, type Step, type StepState } from './step.js';
