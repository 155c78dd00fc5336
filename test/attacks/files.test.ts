/** Single files in directories where another user has laid something under the name that is about to be used. */
import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Log } from '../../src/connect/log.js';
import type { Connection } from '../../src/index.js';
import { Redaction } from '../../src/shared/redaction.js';
import { startServer } from '../../src/testing/index.js';
import { makeAttacker, makePrivateFolder, makeSharedFolder, needsRoot } from '../support/attacker.js';
import { connectToServer, connectToSshd } from '../support/login.js';
import { needsOpenSsh, startSshd } from '../support/sshd.js';

async function connectHere(t: TestContext): Promise<Connection> {
  const server = await startServer({ files: { file: 'content', 'tree/file': 'content' } });
  const sftp = await connectToServer(server);
  t.after(async () => {
    await sftp.close();
    await server.close();
  });
  return sftp;
}

function useUmask(t: TestContext, umask: number): void {
  const before = process.umask(umask);
  t.after(() => void process.umask(before));
}

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);
const DENIED = { code: 'EACCES' };

/** Where others may write: a directory like `/tmp`, one that everybody may change, and one of the attacker's own. */
const PLACES = { 'a directory like /tmp': 0o1777, 'a directory of everybody': 0o777, 'his directory': 0o755 };

describe('a name under which another user has laid something', { skip: needsRoot }, () => {
  for (const [place, mode] of Object.entries(PLACES)) {
    const prepare = (t: TestContext) => {
      const attacker = makeAttacker(t);
      const shared = makeSharedFolder(t, { mode, ...(mode === 0o755 && { owner: attacker }) });
      const secret = join(makePrivateFolder(t, ['file']), 'file');
      return { attacker, shared, secret, planted: join(shared, 'planted') };
    };

    test(`X7: in ${place}: get takes no rights over from his file`, async (t) => {
      const { attacker, planted } = prepare(t);
      useUmask(t, 0o077);
      attacker.run(`echo old > ${planted}; chmod 666 ${planted}`);
      const sftp = await connectHere(t);
      await sftp.get('/file', planted);
      assert.deepEqual([modeOf(planted), statSync(planted).uid], ['600', 0]);
      assert.equal(readFileSync(planted, 'utf8'), 'content');
      await sftp.get('/file', planted, { resume: true, overwrite: true });
      assert.equal(modeOf(planted), '600');
    });

    test(`X7: in ${place}: nothing is written through his link`, async (t) => {
      const { attacker, planted, secret } = prepare(t);
      attacker.run(`ln -s ${secret} ${planted}`);
      const sftp = await connectHere(t);
      await assert.rejects(sftp.get('/file', planted, { atomic: false }), DENIED);
      assert.throws(() => new Log({ file: planted, logger: undefined, secrets: new Redaction() }), DENIED);
      assert.equal(readFileSync(secret, 'utf8'), 'secret file');
      await sftp.get('/file', planted);
      assert.equal(readFileSync(secret, 'utf8'), 'secret file');
      assert.equal(readFileSync(planted, 'utf8'), 'content');
    });

    test(`X7: in ${place}: nothing is written to a second name of a file of ours`, async (t) => {
      const { planted, secret } = prepare(t);
      linkSync(secret, planted);
      const sftp = await connectHere(t);
      await assert.rejects(sftp.get('/file', planted, { atomic: false }), DENIED);
      assert.throws(() => new Log({ file: planted, logger: undefined, secrets: new Redaction() }), DENIED);
      assert.equal(readFileSync(secret, 'utf8'), 'secret file');
    });
  }

  test('X7: a directory that is his link, laid where everybody may, leads nowhere', async (t) => {
    const attacker = makeAttacker(t);
    const shared = makeSharedFolder(t, { mode: 0o1777 });
    const outside = makePrivateFolder(t, ['file']);
    const planted = join(shared, 'planted');
    attacker.run(`ln -s ${outside} ${planted}`);
    const sftp = await connectHere(t);
    for (const attempt of [
      () => sftp.get('/file', join(planted, 'new')),
      () => sftp.get('/file', join(planted, 'new'), { atomic: false }),
      () => sftp.cd('/tree', () => sftp.getR('.', planted)),
      () => sftp.mirror('/tree', planted, { direction: 'down' }),
      () => sftp.put(join(planted, 'file'), '/stolen'),
      () => sftp.putR(planted, '/stolen'),
      () => sftp.mirror(planted, '/stolen', { direction: 'up' }),
    ]) {
      await assert.rejects(attempt(), DENIED);
    }
    assert.equal(existsSync(join(outside, 'new')), false);
    assert.equal(await sftp.exists('/stolen'), false);
  });

  test('X7: in a directory like /tmp, nothing is written into a file of his', async (t) => {
    const attacker = makeAttacker(t);
    const planted = join(makeSharedFolder(t, { mode: 0o1777 }), 'planted');
    attacker.run(`echo old > ${planted}; chmod 666 ${planted}`);
    const sftp = await connectHere(t);
    await assert.rejects(sftp.get('/file', planted, { atomic: false }), DENIED);
    assert.throws(() => new Log({ file: planted, logger: undefined, secrets: new Redaction() }), DENIED);
    assert.equal(readFileSync(planted, 'utf8'), 'old\n');
  });

  test('links that we have laid ourselves are followed, in a directory like /tmp too', async (t) => {
    const shared = makeSharedFolder(t, { mode: 0o1777 });
    const own = join(makePrivateFolder(t, ['file']), 'file');
    const link = join(shared, 'link');
    symlinkSync(own, link);
    mkdirSync(join(shared, 'd'));
    symlinkSync(join(shared, 'd'), join(shared, 'e'));
    const sftp = await connectHere(t);
    await sftp.get('/file', link, { atomic: false });
    await sftp.get('/file', join(shared, 'e', 'file'));
    new Log({ file: link, logger: undefined, secrets: new Redaction() }).close();
    assert.equal(readFileSync(own, 'utf8'), 'content');
    assert.equal(readFileSync(join(shared, 'd', 'file'), 'utf8'), 'content');
    writeFileSync(join(shared, 'file'), 'x');
  });

  test('X7: on a server: put takes no rights over from his file', { skip: needsOpenSsh }, async (t) => {
    const attacker = makeAttacker(t);
    const shared = makeSharedFolder(t, { mode: 0o1777 });
    const sshd = await startSshd({ sftpCommand: '/usr/lib/openssh/sftp-server -u 077' });
    t.after(() => sshd.stop());
    const sftp = await connectToSshd(sshd);
    t.after(() => sftp.close());
    const [planted, own] = [join(shared, 'planted'), join(shared, 'own')];
    attacker.run(`echo old > ${planted}; chmod 666 ${planted}`);
    writeFileSync(own, 'old', { mode: 0o640 });
    const source = join(makePrivateFolder(t, ['file']), 'file');
    for (const path of [planted, own]) await sftp.put(source, path, { atomic: true });
    assert.deepEqual([planted, own].map(modeOf), ['600', '640']);
    assert.equal(statSync(planted).uid, 0);
  });
});
