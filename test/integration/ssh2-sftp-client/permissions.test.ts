/** What ssh2-sftp-client does where the user of the program may not read or write on this side. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { programOf, runChild } from '../../support/child.js';
import { needsOpenSsh } from '../../support/sshd.js';
import { startWorld, type World } from './world.js';

const NOBODY = 65_534;

/** Calls as a user who is not root, in a process of its own: what may be read counts for the user who has started it. */
const SCRIPT = `
  const { module, options, calls, user } = input;
  const { default: Client } = await import(module);
  const client = new Client('nobody', {});
  await client.connect({ ...options, hostVerifier: () => true });
  process.setuid(user);
  const results = [];
  for (const [method, ...args] of calls) {
    results.push(await client[method](...args).then(
      () => 'done',
      ({ message, code }) => [message, code],
    ));
  }
  await client.end();
  console.log(JSON.stringify(results));`;

type Call = readonly ['get' | 'fastGet' | 'put' | 'fastPut' | 'downloadDir', source: string, target: string];

describe('ssh2-sftp-client, local permissions', { skip: needsOpenSsh }, () => {
  let world: World;
  let source: string;
  const here = (...names: readonly string[]): string => join(world.here, ...names);

  before(async () => {
    world = await startWorld();
    source = join(world.there, 'source');
    writeFileSync(source, 'new');
    mkdirSync(join(world.there, 'tree'));
    writeFileSync(join(world.there, 'tree', 'file'), 'in a tree');
    writeFileSync(here('unreadable'), 'secret', { mode: 0o600 });
    writeFileSync(here('read-only'), 'old', { mode: 0o644 });
    mkdirSync(here('closed'));
    writeFileSync(here('closed', 'file'), 'old and longer');
    writeFileSync(here('a file'), 'x');
    for (const path of [here('closed', 'file'), here('a file')]) chownSync(path, NOBODY, NOBODY);
    for (const path of [world.here, here('closed')]) chmodSync(path, 0o755);
  });
  after(() => world[Symbol.asyncDispose]());

  async function resultsOf(calls: readonly Call[]): Promise<unknown> {
    const { host, port, username, privateKey } = world.options;
    const options = { host, port, username, privateKey: String(privateKey) };
    const module = pathToFileURL(programOf('src/ssh2-sftp-client/index.ts').at(-1) ?? '').href;
    const { stdout, stderr } = await runChild(SCRIPT, { module, options, calls, user: NOBODY });
    assert.equal(stderr, '');
    return JSON.parse(stdout);
  }

  test('a file that cannot be read is not sent', async () => {
    const target = join(world.there, 'target');
    const [unreadable, below] = [here('unreadable'), here('a file', 'x')];
    const results = await resultsOf([
      ['put', unreadable, target],
      ['fastPut', unreadable, target],
      ['put', below, target],
    ]);
    assert.deepEqual(results, [
      [`put: Bad path: ${unreadable} permission denied`, -13],
      [`fastPut: Bad path: ${unreadable}: permission denied`, -13],
      [`put: Bad path: ${below} parent not a directory`, 'ERR_GENERIC_CLIENT'],
    ]);
  });

  for (const [method, prefix, code] of [
    ['get', 'get', 'ERR_GENERIC_CLIENT'],
    ['fastGet', 'fastGet->fastGet', 'ERR_BAD_PATH'],
  ] as const) {
    test(`${method} tells what cannot be written, and leaves it as it was`, async () => {
      const rows = [
        [here('read-only'), 'permission denied'],
        [here('closed', 'new'), `${here('closed')}: permission denied`],
        [here('a file', 'x'), `${here('a file')}: not a directory`],
        [here('a file', 'x', 'y'), `${here('a file', 'x')}: parent not a directory`],
      ] as const;
      const results = await resultsOf(rows.map(([target]) => [method, source, target]));
      const expected = rows.map(([target, reason]) => [`${prefix}: Bad path: ${target}: ${reason}`, code]);
      assert.deepEqual(results, expected);
      assert.equal(readFileSync(here('read-only'), 'utf8'), 'old');
    });

    test(`${method} writes a file in place whose directory cannot be written`, async () => {
      const target = here('closed', 'file');
      writeFileSync(target, 'old and longer');
      const results = await resultsOf([
        [method, source, target],
        [method, source, '/dev/null'],
      ]);
      assert.deepEqual(results, ['done', 'done']);
      assert.equal(readFileSync(target, 'utf8'), 'new');
    });
  }

  test('downloadDir tells that its target cannot be written', async () => {
    assert.deepEqual(await resultsOf([['downloadDir', join(world.there, 'tree'), here('closed')]]), [
      [`prepareDestination: Bad path: ${here('closed')}: permission denied`, 'ERR_GENERIC_CLIENT'],
    ]);
    assert.deepEqual(readdirSync(here('closed')), ['file']);
  });
});
