/** `--connections`: one transfer over several connections to OpenSSH. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ProgramWorld, startWorld } from '../../support/program.js';
import { needsOpenSsh } from '../../support/sshd.js';

const CONTENT = randomBytes(16_000_000);

describe('The option --connections', { skip: needsOpenSsh, timeout: 120_000 }, () => {
  let world: ProgramWorld;
  let from: string;

  before(async () => {
    world = await startWorld();
    from = join(world.folder, 'from');
    mkdirSync(from);
    writeFileSync(join(from, 'large.bin'), CONTENT);
    for (let index = 0; index < 20; index += 1) writeFileSync(join(from, `${index}.txt`), `${index}\n`);
  });
  after(() => world[Symbol.asyncDispose]());

  /** How many logins a run made. */
  async function loginsOf(words: readonly string[]): Promise<number> {
    const count = () => world.sshd.log().split('Accepted publickey').length - 1;
    const start = count();
    const { status, stderr } = await world.run(words);
    assert.equal(status, 0, stderr);
    return count() - start;
  }

  for (const [name, words] of Object.entries({
    get: (to: string) => ['get', `box:${from}/large.bin`, `${to}/large.bin`],
    put: (to: string) => ['put', `${from}/large.bin`, `box:${to}/large.bin`],
    'mirror down': (to: string) => ['mirror', `box:${from}`, to],
    'mirror up': (to: string) => ['mirror', from, `box:${to}`],
  })) {
    test(`is kept by ${name}`, async () => {
      const to = join(world.folder, `to ${name}`);
      mkdirSync(to);
      assert.equal(await loginsOf(['--connections', '3', '--bwlimit', '8M', ...words(to)]), 3);
      assert.ok(readFileSync(join(to, 'large.bin')).equals(CONTENT));
      assert.equal(readdirSync(to).length, name.startsWith('mirror') ? 21 : 1);
    });
  }

  test('refuses any other number before anything is sent', async () => {
    for (const value of ['0', '17', '-1', '1.5', 'x', '']) {
      const { status, stderr } = await world.run([`--connections=${value}`, 'ls', 'box:']);
      assert.equal(status, 2, `${value}: ${stderr}`);
      assert.match(stderr, /^tsftp: .*--connections/);
    }
    const auto = await world.run(['--connections', 'auto', 'stat', `box:${from}`]);
    assert.equal(auto.status, 0, auto.stderr);
  });
});
