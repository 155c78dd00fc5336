/** One thing that a job does, as plain JSON: it can cross processes, queues and machines, and be carried out twice. */
import { Buffer } from 'node:buffer';
import * as crypto from 'node:crypto';
import { kindOf } from '../shared/arguments.js';
import { printable } from '../shared/printable.js';
import type { MirrorReason } from '../transfer/mirror/mirror-step.js';
import type { FileType } from '../wire/attributes.js';

/** What lies at a path. */
export interface StepState {
  readonly type: FileType;
  /** Bytes; `null` where the server does not tell. */
  readonly size: number | null;
  /** Last modification, whole seconds since 1970; `null` where the server does not tell. */
  readonly mtime: number | null;
}

/**
 * One step of a mirror: plain JSON. A name that is UTF-8 is `path`; any other one is `pathBase64`, the bytes in base64.
 * {@link STEP_SCHEMA} is its JSON Schema.
 */
export interface Step extends StepState {
  /** The version of this form. */
  readonly v: 1;
  /**
   * A hash of server, directories, action, path, size and time: the same step planned twice has the same id, on any
   * machine. Use it as the id of a job.
   */
  readonly id: string;
  readonly action: 'create' | 'update' | 'delete' | 'keep' | 'skip';
  /** Below the two directories, with `/` on every system. */
  readonly path?: string | undefined;
  readonly pathBase64?: string | undefined;
  /** What the target had there when the step was planned; `null`: nothing. */
  readonly was: StepState | null;
  readonly reason: MirrorReason;
}

const TYPES: readonly FileType[] = [
  ...([
    'file',
    'directory',
    'symlink',
    'fifo',
    'socket',
    'character-device',
    'block-device',
    'unknown',
  ] as const),
];
const ACTIONS: readonly Step['action'][] = ['create', 'update', 'delete', 'keep', 'skip'];

const STATE_PROPERTIES = {
  type: { enum: TYPES },
  size: { type: ['integer', 'null'], minimum: 0 },
  mtime: { type: ['integer', 'null'] },
} as const;

/** The JSON Schema (draft 2020-12) of a {@link Step}. */
export const STEP_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'tsftp step',
  type: 'object',
  required: ['v', 'id', 'action', 'type', 'size', 'mtime', 'was', 'reason'],
  oneOf: [{ required: ['path'] }, { required: ['pathBase64'] }],
  additionalProperties: false,
  properties: {
    v: { const: 1 },
    id: { type: 'string', pattern: '^[0-9a-f]{32}$' },
    action: { enum: ACTIONS },
    path: { type: 'string', minLength: 1 },
    pathBase64: { type: 'string', minLength: 1 },
    ...STATE_PROPERTIES,
    was: {
      anyOf: [
        { type: 'null' },
        {
          type: 'object',
          required: ['type', 'size', 'mtime'],
          additionalProperties: false,
          properties: STATE_PROPERTIES,
        },
      ],
    },
    reason: { type: 'string' },
  },
} as const;

/** What an id tells apart. */
export interface IdParts {
  readonly server: string;
  /** Directories, action and whatever else belongs to it. */
  readonly context: readonly string[];
  readonly path: Uint8Array;
  readonly size: number | null;
  readonly mtime: number | null;
}

export function idOf({ server, context, path, size, mtime }: IdParts): string {
  const hash = crypto.createHash('sha256');
  hash
    .update(JSON.stringify([server, ...context, size, mtime]))
    .update('\0')
    .update(path);
  return hash.digest('hex').slice(0, 32);
}

/** A path as JSON carries it: as text where that gives the same bytes, else in base64. */
export function jsonPath(bytes: Uint8Array): { readonly path: string } | { readonly pathBase64: string } {
  const buffer = Buffer.from(bytes);
  const path = buffer.toString();
  return Buffer.from(path).equals(buffer) ? { path } : { pathBase64: buffer.toString('base64') };
}

/** The bytes of the path of a step, or of a file that was found. */
export function pathBytesOf({
  path,
  pathBase64,
}: {
  readonly path?: string | undefined;
  readonly pathBase64?: string | undefined;
}): Buffer {
  return path === undefined ? Buffer.from(pathBase64 ?? '', 'base64') : Buffer.from(path);
}

/**
 * Checks a step that came from another process: JSON text, or what `JSON.parse` gives.
 *
 * @throws TypeError it is not a step, or one of another version; its path is absolute or leads up with `..`
 *
 * @example
 * const step = parseStep(job.data);
 */
export function parseStep(given: unknown): Step {
  const value: unknown = typeof given === 'string' ? JSON.parse(given) : given;
  if (typeof value !== 'object' || value === null) throw invalid(`it is ${kindOf(value)}`);
  const step = value as Partial<Record<keyof Step, unknown>>;
  if (step.v !== 1)
    throw invalid(`its version is ${printable(String(step.v), 20)}, and this program knows 1`);
  if (typeof step.id !== 'string' || !/^[0-9a-f]{32}$/.test(step.id)) throw invalid('it has no id');
  if (!ACTIONS.some((action) => action === step.action)) throw invalid('its action is unknown');
  if (typeof step.reason !== 'string') throw invalid('it has no reason');
  checkState(step, 'it');
  if (step.was !== null) checkState(step.was, 'was');
  checkPath(step);
  const { v, id, action, path, pathBase64, type, size, mtime, was, reason } = step as Step;
  const place = path === undefined ? { pathBase64 } : { path };
  return { v, id, action, ...place, type, size, mtime, was, reason };
}

function checkState(given: unknown, name: string): void {
  const { type, size, mtime } = (given ?? {}) as Partial<Record<keyof StepState, unknown>>;
  if (!TYPES.some((each) => each === type)) throw invalid(`${name} has no type`);
  const isNumber = (value: unknown) =>
    value === null || (typeof value === 'number' && Number.isInteger(value));
  if (!isNumber(size) || !isNumber(mtime))
    throw invalid(`size and mtime of ${name} must be integers or null`);
  if (typeof size === 'number' && size < 0) throw invalid(`the size of ${name} is negative`);
}

/** A step must not lead out of its directories: anybody may have put it into the queue. */
function checkPath({ path, pathBase64 }: Partial<Record<keyof Step, unknown>>): void {
  const [given, other] = path === undefined ? [pathBase64, path] : [path, pathBase64];
  if (typeof given !== 'string' || other !== undefined) throw invalid('it must have path or pathBase64');
  const bytes = Buffer.from(given, path === undefined ? 'base64' : 'utf8');
  const names = bytes.toString('latin1').split('/');
  const isUnsafe = (name: string) => name === '' || name === '.' || name === '..' || name.includes('\0');
  if (names.some(isUnsafe)) throw invalid('its path would lead out of the directory');
}

function invalid(why: string): TypeError {
  return new TypeError(`This is not a step of tsftp/jobs: ${why}`);
}
