/** A server as plain JSON: it can be put into a queue, as it has no secrets. */
import type { HostOptions } from '../connect/options.js';
import { kindOf } from '../shared/arguments.js';
import { printable } from '../shared/printable.js';

/**
 * A server and how to log in, without secrets: `secret` is the name of one, which the worker's own program looks up.
 * {@link SERVER_SCHEMA} is its JSON Schema.
 */
export interface ServerDescription {
  /** The version of this form. */
  readonly v: 1;
  readonly host: string;
  /** Default: 22. */
  readonly port?: number | undefined;
  readonly username: string;
  /** The name under which the program keeps the password or the key. */
  readonly secret?: string | undefined;
  /** The fingerprint of the host key (`SHA256:…`), as the option `fingerprint` of `connect` takes it. */
  readonly fingerprint?: string | undefined;
  /** Connections at the same time; fewer than `maxPerServer` of a pool count. */
  readonly maxConnections?: number | undefined;
  /** New connections in any 60 seconds; fewer than those of a pool count. */
  readonly connectsPerMinute?: number | undefined;
}

const FIELDS: Readonly<Record<keyof ServerDescription, 'string' | 'number'>> = {
  ...{
    v: 'number',
    host: 'string',
    port: 'number',
    username: 'string',
    secret: 'string',
    fingerprint: 'string',
  },
  ...{ maxConnections: 'number', connectsPerMinute: 'number' },
};

/** The JSON Schema (draft 2020-12) of a {@link ServerDescription}. */
export const SERVER_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'tsftp server',
  type: 'object',
  required: ['v', 'host', 'username'],
  additionalProperties: false,
  properties: {
    v: { const: 1 },
    host: { type: 'string', minLength: 1 },
    port: { type: 'integer', minimum: 1, maximum: 65535 },
    username: { type: 'string', minLength: 1 },
    secret: { type: 'string', minLength: 1 },
    fingerprint: { type: 'string', minLength: 1 },
    maxConnections: { type: 'integer', minimum: 1 },
    connectsPerMinute: { type: 'integer', minimum: 1 },
  },
} as const;

/** The program's own function: the options of `connect` with the secrets, which never leave the worker. */
export type ResolveServer = (server: ServerDescription) => HostOptions | Promise<HostOptions>;

/**
 * Checks a description that came from another process: JSON text, or what `JSON.parse` gives.
 *
 * @throws TypeError it is not one, or has a field that is unknown: a password does not belong into a description
 */
export function parseServer(given: unknown): ServerDescription {
  const value: unknown = typeof given === 'string' ? JSON.parse(given) : given;
  if (typeof value !== 'object' || value === null) throw invalid(`it is ${kindOf(value)}`);
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue;
    if (!Object.hasOwn(FIELDS, name)) {
      throw invalid(
        `it has the field ${printable(name, 40)}; secrets belong to the program, and secret names one`,
      );
    }
    const isOfType = typeof field === FIELDS[name as keyof ServerDescription] && field !== '';
    if (!isOfType) throw invalid(`${name} must be a ${FIELDS[name as keyof ServerDescription]}`);
    if (typeof field === 'number' && !(Number.isInteger(field) && field > 0)) {
      throw invalid(`${name} must be an integer above 0`);
    }
  }
  const server = value as ServerDescription;
  if (server.v !== 1) throw invalid('its version is unknown: this program knows 1');
  if (server.host === undefined || server.username === undefined) throw invalid('it needs host and username');
  return { ...server };
}

function invalid(why: string): TypeError {
  return new TypeError(`This is not the description of a server: ${why}`);
}
