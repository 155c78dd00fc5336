/** Errors that programs make with `fmtError`, beside those of the package whose place the drop-in takes. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import Ours from '../../../src/ssh2-sftp-client/index.js';

type Formatting = (reason?: unknown, name?: string, code?: string) => Error;
interface Named {
  fmtError: Formatting;
}

const Theirs = createRequire(import.meta.url)('ssh2-sftp-client') as new (name: string) => Named;

function coded(code: string | number): Error {
  return Object.assign(new Error('m'), { code });
}

const CASES: readonly (readonly [what: string, make: (format: Formatting) => Error])[] = [
  ['nothing', (format) => format()],
  ['a text', (format) => format('text')],
  ['a text with a name and a code', (format) => format('text', 'name', 'CODE')],
  ...(['ENOTFOUND', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 2] as const).flatMap((code) => [
    [`an error with the code ${code}`, (format: Formatting) => format(coded(code), 'name')] as const,
    [
      `the code ${code} and another one`,
      (format: Formatting) => format(coded(code), 'name', 'CODE'),
    ] as const,
  ]),
  ['an error without a code', (format) => format(new Error('m'), 'name', 'CODE')],
  ['an error of its own', (format) => format(format('text', 'inner', 'CODE'), 'outer', 'OTHER')],
];

describe('fmtError of the drop-in', () => {
  for (const [what, make] of CASES)
    test(`says what that of ssh2-sftp-client says: ${what}`, () => {
      const [ours, theirs] = [new Ours('name'), new Theirs('name')].map((client) => {
        const { message, code, custom } = make((...values) => client.fmtError(...values)) as Error & {
          readonly code?: unknown;
          readonly custom?: unknown;
        };
        return { message, code, custom };
      });
      assert.deepEqual(ours, theirs);
    });
});
