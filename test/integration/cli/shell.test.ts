/** The shell on a terminal of its own: completion, Ctrl-C in a transfer, a server that is restarted. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { startServer } from '../../../src/testing/index.js';
import { builtProgram, type ProgramWorld, startWorld } from '../../support/program.js';
import { needsOpenSsh } from '../../support/sshd.js';
import { needsScript, Terminal } from '../../support/terminal.js';

const needed = needsOpenSsh || needsScript;

function openTerminal(t: TestContext, world: ProgramWorld, words: readonly string[]): Terminal {
  const quoted = [process.execPath, builtProgram(), ...words].map((word) => `'${word}'`).join(' ');
  return new Terminal(t, quoted, { cwd: world.folder, env: { ...world.env, COLUMNS: '100' } });
}

describe('The shell', { skip: needed, timeout: 180_000 }, () => {
  test('completes names with blanks, on the side on which the argument lies', async (t) => {
    await using world = await startWorld();
    const remote = join(world.folder, 'remote');
    mkdirSync(join(remote, 'my files'), { recursive: true });
    writeFileSync(join(remote, 'my files', 'one two.txt'), 'x\n');
    mkdirSync(join(world.folder, 'local only'));
    const terminal = openTerminal(t, world, ['-F', world.config, `box:${remote}`]);
    await terminal.expect(/remote> /);
    terminal.type('get my\t');
    await terminal.expect(/get my\\? ?.*files\//);
    terminal.type('o\t');
    await terminal.expect(/one\\? ?.*two\.txt /);
    terminal.type('loc\t');
    await terminal.expect(/al\\? ?.*only\//);
    terminal.type('\r');
    await terminal.expect(/1 file, 2 B in [\s\S]*remote> /);
    assert.ok(existsSync(join(world.folder, 'local only', 'one two.txt')));
    terminal.type('get "my f\t');
    await terminal.expect(/iles\//);
    terminal.type('\t');
    await terminal.expect(/one two\.txt" /);
    terminal.type('\u0003');
    await terminal.expect(/\^C[\s\S]*remote> /);
    terminal.type('\u0004');
    assert.equal(await terminal.ended(), 0);
  });

  test('lists what fits on the second Tab', async (t) => {
    await using world = await startWorld();
    const remote = join(world.folder, 'remote');
    mkdirSync(join(remote, 'alpha-dir'), { recursive: true });
    writeFileSync(join(remote, 'alpha.txt'), '');
    const terminal = openTerminal(t, world, ['-F', world.config, `box:${remote}`]);
    await terminal.expect(/remote> /);
    terminal.type('ls a\t');
    await terminal.expect(/lpha/);
    terminal.type('\t');
    await terminal.expect(/alpha-dir\/\s+alpha\.txt/);
    terminal.type('\u0003\u0004');
    assert.equal(await terminal.ended(), 0);
  });

  test('ends a transfer at Ctrl-C and goes on, and reconnects in the same directory', async (t) => {
    await using world = await startWorld();
    const remote = join(world.folder, 'remote');
    mkdirSync(join(remote, 'deep'), { recursive: true });
    writeFileSync(join(remote, 'deep', 'large.bin'), Buffer.alloc(4_000_000));
    const terminal = openTerminal(t, world, ['-F', world.config, '--bwlimit', '200K', 'box']);
    await terminal.expect(/> /);
    terminal.type(`cd ${remote}/deep\r`);
    await terminal.expect(/deep> /);
    terminal.type('get large.bin\r');
    await terminal.expect(/░/);
    terminal.type('\u0003');
    await terminal.expect(/Interrupted[\s\S]*deep> /);
    assert.deepEqual(
      readdirSync(world.folder).filter((name) => name.includes('large')),
      [],
      'nothing half-written is left',
    );
    for (const pid of world.sshd.children()) process.kill(pid);
    terminal.type('pwd\r');
    await terminal.expect(/\n\S*deep\r\n/);
    await terminal.expect(/deep> /);
    terminal.type('ls\r');
    // Where this command is the one that notices the loss, the next one connects again.
    if (/was lost/.test(await terminal.expect(/(large\.bin|was lost)[\s\S]*deep> /))) {
      terminal.type('ls\r');
      await terminal.expect(/large\.bin[\s\S]*deep> /);
    }
    terminal.type('!echo local $((1 + 1))\r');
    await terminal.expect(/local 2/);
    await terminal.expect(/deep> /);
    terminal.type('bye\r');
    assert.equal(await terminal.ended(), 0);
  });

  test('asks about an unknown host key as ssh does, and remembers the answer', async (t) => {
    await using world = await startWorld();
    const known = join(world.folder, 'own_known_hosts');
    const words = ['-F', world.config, '-o', `UserKnownHostsFile=${known}`, 'ls', '-1', 'box:/'];
    const terminal = openTerminal(t, world, words);
    await terminal.expect(/The authenticity of host '\[127\.0\.0\.1\]:\d+' can't be established\./);
    await terminal.expect(/ED25519 key fingerprint is SHA256:/);
    await terminal.expect(/\(yes\/no\/\[fingerprint\]\)\? /);
    terminal.type('maybe\r');
    await terminal.expect(/Please type 'yes', 'no' or the fingerprint: /);
    terminal.type('yes\r');
    await terminal.expect(/Permanently added/);
    await terminal.expect(/etc/);
    assert.equal(await terminal.ended(), 0);
    const again = await world.run(['-o', `UserKnownHostsFile=${known}`, 'ls', 'box:/']);
    assert.equal(again.status, 0, again.stderr);
  });

  test('ends at Ctrl-C while a password is asked for, as a command does', async (t) => {
    await using world = await startWorld();
    await using server = await startServer({ files: { 'a.txt': 'a' } }, { users: { me: 'secret' } });
    const known = join(world.folder, 'own_known_hosts');
    writeFileSync(known, server.knownHosts);
    const address = `sftp://me@127.0.0.1:${server.port}/~/a.txt`;
    for (const words of [['get', address], [address]]) {
      const terminal = openTerminal(t, world, ['-F', 'none', '--known-hosts', known, ...words]);
      await terminal.expect(/Password for me@127\.0\.0\.1: /i);
      terminal.type('\u0003');
      assert.equal(await terminal.ended(), 130, terminal.output);
    }
    assert.ok(!existsSync(join(world.folder, 'a.txt')));
  });

  test('asks before a mirror removes anything', async (t) => {
    await using world = await startWorld();
    const [source, target] = [join(world.folder, 'source'), join(world.folder, 'target')];
    mkdirSync(source);
    mkdirSync(target);
    writeFileSync(join(target, 'extra.txt'), '');
    const words = ['-F', world.config, 'mirror', '--delete', source, `box:${target}`];
    const refused = openTerminal(t, world, words);
    await refused.expect(
      /1 entry will be removed from box:[\s\S]*extra\.txt[\s\S]*Remove them\? \(yes\/no\) /,
    );
    refused.type('no\r');
    assert.equal(await refused.ended(), 2);
    assert.ok(existsSync(join(target, 'extra.txt')));
    const allowed = openTerminal(t, world, words);
    await allowed.expect(/Remove them\? \(yes\/no\) /);
    allowed.type('yes\r');
    assert.equal(await allowed.ended(), 0);
    assert.ok(!existsSync(join(target, 'extra.txt')));
  });
});
