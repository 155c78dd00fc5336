import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkOptions } from '../../../src/shared/option-checks.js';

interface Example {
  readonly dryRun?: boolean;
  readonly timeout?: number;
  readonly label?: string;
  readonly filter?: () => void;
  readonly signal?: AbortSignal;
  readonly atomic?: unknown;
}

const table = {
  dryRun: 'boolean',
  timeout: 'number',
  label: 'string',
  filter: 'function',
  signal: 'signal',
  atomic: 'checked',
} as const;
const elsewhere = { readyTimeout: 'use timeout, in milliseconds' };

function messageOf(options: unknown): string {
  try {
    checkOptions<Example>(options as Example, table, { of: 'example', elsewhere });
    return '';
  } catch (error) {
    assert.ok(error instanceof TypeError);
    return error.message;
  }
}

describe('checkOptions', () => {
  test('X20: takes what is known and of the right type, and what is undefined', () => {
    const { signal } = new AbortController();
    const options = { dryRun: true, timeout: 1, label: '', filter: () => {}, signal, atomic: null };
    assert.equal(messageOf(options), '');
    assert.equal(messageOf({ dryRun: undefined, anything: undefined }), '');
    assert.equal(messageOf({}), '');
  });

  const rows: readonly (readonly [options: unknown, message: string])[] = [
    [{ dryrun: true }, "Unknown option 'dryrun' of example: did you mean 'dryRun'?"],
    [{ dry_run: true }, "Unknown option 'dry_run' of example: did you mean 'dryRun'?"],
    [{ timeuot: 1 }, "Unknown option 'timeuot' of example: did you mean 'timeout'?"],
    [{ readyTimeout: 1 }, "Unknown option 'readyTimeout' of example: use timeout, in milliseconds"],
    [
      { constructor: 1 },
      "Unknown option 'constructor' of example; the options are atomic, dryRun, filter, label, signal, timeout",
    ],
    [{ dryRun: 'yes' }, 'The option dryRun of example must be true or false, not string'],
    [{ timeout: null }, 'The option timeout of example must be a number, not null'],
    [{ filter: /x/ }, 'The option filter of example must be a function, not RegExp'],
    [{ signal: {} }, 'The option signal of example must be an AbortSignal, not Object'],
    [null, 'The options of example must be an object, not null'],
    ['text', 'The options of example must be an object, not string'],
    [[], 'The options of example must be an object, not Array'],
  ];
  for (const [options, message] of rows) {
    test(`X20: refuses ${JSON.stringify(options)}`, () => assert.equal(messageOf(options), message));
  }
});
