/**
 * Random sequences of calls on a view over OpenSSH's server, and of node:fs on a twin directory: the same results, errors
 * and trees. `TSFTP_FS_SEQUENCES` says how many; with `TSFTP_FS_SEED` they begin somewhere else.
 */
import assert from 'node:assert/strict';
import nodeFs, { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { remoteFs } from '../../../src/fs/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { carryOut, type FsLike, makeSequence } from '../../support/fs-sequences.js';
import { connectToSshd } from '../../support/login.js';
import { needsOpenSsh, startSshd } from '../../support/sshd.js';

const COUNT = Number(process.env.TSFTP_FS_SEQUENCES ?? 200);
const FIRST_SEED = Number(process.env.TSFTP_FS_SEED ?? 1);
const LENGTH = 25;
const AT_ONCE = 8;

async function compare(remote: FsLike, folder: string, seed: number): Promise<void> {
  const [theirs, ours] = ['local', 'remote'].map((side) => join(folder, `${seed}`, side, 't/t/t/t/t'));
  if (theirs === undefined || ours === undefined) throw new Error('There are two folders');
  for (const each of [theirs, ours]) mkdirSync(each, { recursive: true });
  const done: string[] = [];
  for (const call of makeSequence(seed, LENGTH)) {
    done.push(JSON.stringify([call.name, ...call.args]));
    const expected = await carryOut(nodeFs, theirs, call);
    const actual = await carryOut(remote, ours, call);
    if (!isDeepStrictEqual(actual, expected)) {
      assert.deepEqual(actual, expected, `seed ${seed}, after ${done.join(' ')}`);
      assert.fail(`seed ${seed}: not the same kinds of values, after ${done.at(-1)}`);
    }
  }
  assert.deepEqual(snapshot(ours), snapshot(theirs), `seed ${seed}`);
}

describe('A view of a connection does as node:fs does', { skip: needsOpenSsh, timeout: 3_600_000 }, () => {
  test('in random sequences of calls, beside a twin directory', async (t: TestContext) => {
    const folder = makeFolder(t);
    await using sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
    await using sftp = await connectToSshd(sshd);
    const remote = remoteFs(sftp) as unknown as FsLike;
    let seed = FIRST_SEED;
    const work = async () => {
      while (seed < FIRST_SEED + COUNT) await compare(remote, folder, seed++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    await remoteFs(sftp).check();
  });
});
