/** The completion of real shells, which ask a real server for the names on it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SeenRequest } from '../../../src/testing/faults.js';
import { startServer } from '../../../src/testing/index.js';
import { builtProgram, type ProgramWorld, runProgram, startWorld } from '../../support/program.js';
import { needsOpenSsh } from '../../support/sshd.js';
import { needsScript, Terminal } from '../../support/terminal.js';

/** How each shell is started with nothing of the user's, and the line that loads the completion there. */
const SHELLS = {
  bash: {
    start: 'bash --noprofile --norc -i',
    load: "PS1='% '; source ./completion.bash",
  },
  zsh: {
    start: 'zsh -f -i',
    load: "PS1='%% '; autoload -Uz compinit; compinit -D; source ./completion.zsh",
  },
} as const;

/** In every directory of these tests. */
const NAMES = [
  'one two.txt',
  'a:b.txt',
  "it's.txt",
  'dollar$x.txt',
  'back\\slash.txt',
  'star*.txt',
  'q"uote',
  '-dash',
  'ä',
];

/** What is typed, with a tab where it is completed, and the arguments that the program then gets. */
const LINES: readonly (readonly [typed: string, ...words: readonly string[]])[] = [
  ['get bo\tfar/d\ton\t', 'get', 'box:far/deep dir/one two.txt'],
  ['get box:far/deep\\ dir/a\t .', 'get', 'box:far/deep dir/a:b.txt', '.'],
  ['get "box:far/deep d\ton\t', 'get', 'box:far/deep dir/one two.txt'],
  ["get 'box:far/deep dir/do\t", 'get', 'box:far/deep dir/dollar$x.txt'],
  ['get box:far/deep\\ dir/it\t', 'get', "box:far/deep dir/it's.txt"],
  ['get box:far/deep\\ dir/back\t', 'get', 'box:far/deep dir/back\\slash.txt'],
  ['get box:far/deep\\ dir/st\t', 'get', 'box:far/deep dir/star*.txt'],
  ['get box:far/deep\\ dir/q\t', 'get', 'box:far/deep dir/q"uote'],
  ['get box:far/deep\\ dir/-\t', 'get', 'box:far/deep dir/-dash'],
  ['get sftp://box/~/far/de\ton\t', 'get', 'sftp://box/~/far/deep%20dir/one%20two.txt'],
  ['put ne\tin\tbox:far/li\t', 'put', 'near here/inside.txt', 'box:far/link/'],
  ['mirr\tbox:fa\t', 'mirror', 'box:far/'],
  // What tells how to reach the server goes with the question.
  ['get -F other.conf elsewhere:far/li\t', 'get', '-F', 'other.conf', 'elsewhere:far/link/'],
  ['get --config=other.conf elsewhere:far/li\t', 'get', '--config=other.conf', 'elsewhere:far/link/'],
  ['-F "other.conf" get elsewhere:far/li\t', '-F', 'other.conf', 'get', 'elsewhere:far/link/'],
  // Nothing is made up of what is here, and nobody is asked.
  ['get box:nea\t', 'get', 'box:nea'],
  ['get closed:fa\t', 'get', 'closed:fa'],
];

/** Why a shell is not tried. */
function missing(shell: string): string | false {
  return spawnSync(shell, ['-c', 'exit 0']).error === undefined ? needsOpenSsh : `needs the shell ${shell}`;
}

describe('Completion', { skip: needsOpenSsh, timeout: 180_000 }, () => {
  const remote = mkdtempSync(join(tmpdir(), 'tsftp-completion-test-'));
  let world: ProgramWorld;
  let local: string;
  let env: NodeJS.ProcessEnv;

  before(async () => {
    world = await startWorld({ sftpCommand: `/usr/lib/openssh/sftp-server -d ${remote}` });
    mkdirSync(join(remote, 'far', 'deep dir'), { recursive: true });
    symlinkSync('deep dir', join(remote, 'far', 'link'));
    for (const name of NAMES) writeFileSync(join(remote, 'far', 'deep dir', name), '');
    local = join(world.folder, 'local');
    mkdirSync(join(local, 'near here'), { recursive: true });
    writeFileSync(join(local, 'near here', 'inside.txt'), '');
    const home = join(world.folder, 'home');
    mkdirSync(join(home, '.ssh'), { mode: 0o700 });
    const closed = 'Host closed\nHostName 127.0.0.1\nPort 1\n';
    writeFileSync(join(home, '.ssh', 'config'), `${readFileSync(world.config, 'utf8')}\n${closed}`, {
      mode: 0o600,
    });
    const other = readFileSync(world.config, 'utf8').replace('Host box', 'Host elsewhere');
    writeFileSync(join(local, 'other.conf'), other, { mode: 0o600 });
    const bin = join(world.folder, 'bin');
    mkdirSync(bin);
    const program = `#!/bin/sh\nexec '${process.execPath}' '${builtProgram()}' "$@"\n`;
    writeFileSync(join(bin, 'tsftp'), program, { mode: 0o755 });
    env = { ...world.env, PATH: `${bin}:${process.env.PATH}`, LC_ALL: 'C.UTF-8' };
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { stdout } = await runProgram([process.execPath, builtProgram(), 'completion', shell]);
      writeFileSync(join(local, `completion.${shell}`), stdout);
    }
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
    rmSync(remote, { recursive: true });
  });

  for (const [shell, { start, load }] of Object.entries(SHELLS)) {
    test(`of ${shell} gives what the program needs`, { skip: missing(shell) || needsScript }, async (t) => {
      const terminal = new Terminal(t, start, { cwd: local, env });
      const shows = `tsftp() { if [ "$1" = complete ]; then command tsftp "$@"; else printf '<%s>' "$@"; echo; fi; }`;
      terminal.type(`${shows}; ${load}; echo READY$((1 + 1))\r`);
      await terminal.expect(/READY2/);
      for (const [typed, ...words] of LINES) {
        terminal.type(`tsftp ${typed}\r`);
        const [shown] = /<.*>/.exec(await terminal.expect(/<.*>\r/)) ?? [];
        assert.equal(shown, words.map((word) => `<${word}>`).join(''), `${typed}\n${terminal.output}`);
      }
    });
  }

  test('of fish gives what the program needs', { skip: missing('fish') }, () => {
    const ask = (line: string) => {
      const script = `source completion.fish; complete -C ${JSON.stringify(line).replaceAll('$', '\\$')}`;
      const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', script], {
        cwd: local,
        env,
        encoding: 'utf8',
      });
      assert.equal(stderr, '');
      return stdout.trim();
    };
    assert.deepEqual(ask('tsftp get bo'), 'box:');
    assert.deepEqual(ask('tsftp get box:fa'), 'box:far/');
    assert.deepEqual(ask('tsftp get box:far/deep\\ dir/on'), 'box:far/deep dir/one two.txt');
    assert.deepEqual(ask("tsftp get 'box:far/deep dir/do"), 'box:far/deep dir/dollar$x.txt');
    for (const given of ['-F other.conf', '--config=other.conf', '-Fother.conf']) {
      assert.deepEqual(ask(`tsftp get ${given} elsewhere:far/li`), 'elsewhere:far/link/');
    }
    assert.deepEqual(ask('tsftp get box:nea'), '');
    assert.deepEqual(ask('tsftp put nea'), 'near here/');
  });

  test('gives up a server that does not answer', async (t) => {
    const never = new Promise<undefined>(() => {});
    const faults = { failOn: ({ kind }: SeenRequest) => (kind === 'readdir' ? never : undefined) };
    const server = await startServer({ files: { 'a.txt': '' } }, { users: { me: 'secret' }, faults });
    t.after(() => server.close());
    const known = join(world.folder, 'known');
    writeFileSync(known, server.knownHosts);
    const words = ['complete', '--known-hosts', known, '--', `sftp://me@127.0.0.1:${server.port}/~/a`];
    const { status, stdout } = await world.run(words, { env: { TSFTP_PASSWORD: 'secret' } });
    assert.deepEqual([status, stdout], [5, '']);
  });
});
