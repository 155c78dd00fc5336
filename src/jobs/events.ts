/** What jobs tell of themselves, for metrics and audits: through `node:diagnostics_channel`, and as JSON lines. */
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Writable } from 'node:stream';
import type { Step } from './step.js';

/** Published on the channel `tsftp:step` when {@link executeStep} begins, and when it has ended. Plain JSON. */
export interface StepEvent {
  readonly v: 1;
  readonly event: 'start' | 'end';
  /** When, as ISO 8601. */
  readonly time: string;
  readonly id: string;
  readonly action: Step['action'];
  readonly path?: string | undefined;
  readonly pathBase64?: string | undefined;
  readonly direction: 'up' | 'down';
  readonly server?: string | undefined;
  /** The number of the attempt, from 1, where the queue tells it. */
  readonly attempt?: number | undefined;
  /** At the end. */
  readonly outcome?: 'done' | 'already' | 'skipped' | 'failed' | undefined;
  readonly durationMs?: number | undefined;
  /** Content that travelled in this attempt. */
  readonly bytes?: number | undefined;
  readonly bytesPerSecond?: number | undefined;
  /** Of the error, where it failed. */
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/** Published on the channel `tsftp:pool` by {@link ConnectionPool}. Plain JSON. */
export interface PoolEvent {
  readonly v: 1;
  readonly event: 'open' | 'fail' | 'lease' | 'release' | 'close';
  readonly time: string;
  /** Host and port. */
  readonly server: string;
  readonly username: string;
  /** How long connecting, waiting for a lease, or the lease took. */
  readonly durationMs?: number | undefined;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/** The names of the channels; OpenTelemetry and others subscribe to them with `node:diagnostics_channel`. */
export const CHANNELS = { step: 'tsftp:step', pool: 'tsftp:pool' } as const;

const steps = channel(CHANNELS.step);
const pools = channel(CHANNELS.pool);

export function tellStep(event: Omit<StepEvent, 'v' | 'time'>): void {
  if (steps.hasSubscribers) steps.publish({ v: 1, time: new Date().toISOString(), ...event });
}

export function tellPool(event: Omit<PoolEvent, 'v' | 'time'>): void {
  if (pools.hasSubscribers) pools.publish({ v: 1, time: new Date().toISOString(), ...event });
}

/**
 * Writes each event as a line of JSON, until the result is called.
 *
 * @example
 * const stop = writeEvents(process.stderr);
 */
export function writeEvents(
  stream: Pick<Writable, 'write'>,
  channels: readonly string[] = [CHANNELS.step],
): () => void {
  const write = (message: unknown) => void stream.write(`${JSON.stringify(message)}\n`);
  for (const name of channels) subscribe(name, write);
  return () => {
    for (const name of channels) unsubscribe(name, write);
  };
}
