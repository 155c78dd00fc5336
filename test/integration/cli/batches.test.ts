/** The same batch files through `sftp -b` and `tsftp -b`, on one server: the same trees, and the same success. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type ProgramWorld, runProgram, startWorld } from '../../support/program.js';
import { needsOpenSsh } from '../../support/sshd.js';

/** Each works in a directory of its own, which holds `seed` on both sides at first. */
const SUCCEEDING: readonly (readonly [name: string, script: string])[] = [
  ['puts a file under its own name', 'put a.txt new'],
  ['puts a file under another name', 'put a.txt other.txt'],
  ['puts a file into a directory', 'put a.txt sub'],
  ['puts a file into a directory that is written with a slash', 'put a.txt sub/'],
  ['puts what fits a pattern', 'put *.txt sub'],
  ['puts what fits a pattern with mput', 'mput ?.txt sub'],
  ['replaces a file', 'put b.txt a.txt'],
  ['puts a directory', 'put -r tree made'],
  ['puts a directory into one that exists', 'put -r tree sub'],
  ['puts a directory with R', 'put -R tree upper'],
  ['puts with permissions', 'put -p run.sh kept.sh'],
  ['puts a file whose name has blanks', 'put "with blank.txt" "two blanks.txt"'],
  ['understands single quotes', "put 'with blank.txt' 'single quotes.txt'"],
  ['understands backslashes', 'put with\\ blank.txt back\\ slash.txt'],
  ['gets a file under its own name', 'get a.txt'],
  ['gets a file under another name', 'get a.txt got.txt'],
  ['gets a file into a directory', 'get a.txt sub'],
  ['gets what fits a pattern', 'get *.txt sub'],
  ['gets what fits a pattern with mget', 'mget ?.txt sub'],
  ['gets a directory', 'get -r tree fetched'],
  ['gets a directory into one that exists', 'get -r tree sub'],
  ['gets with permissions', 'get -p run.sh kept.sh'],
  ['gets a file with brackets in its name', 'get a\\[1\\].dat'],
  ['resumes a download that has not begun', 'reget a.txt resumed.txt'],
  ['completes a part of an upload', 'put part.txt whole.txt\nreput a.txt whole.txt'],
  ['completes a part of a download', 'get part.txt whole.txt\nreget a.txt whole.txt'],
  [
    'makes directories and works in them',
    'mkdir made\ncd made\nput a.txt\nmkdir deeper\ncd deeper\nput b.txt\ncd ..\nrename deeper renamed',
  ],
  ['changes local directories', 'lcd tree\nput one.txt up.txt\nlcd ..\nput a.txt'],
  ['makes a local directory', 'lmkdir made\nlcd made\nget a.txt'],
  ['removes files', 'rm a.txt\nrm sub/inner.txt\nrmdir sub'],
  ['removes what fits a pattern', 'rm *.txt'],
  ['renames a file', 'rename a.txt z.txt'],
  ['renames a file over another', 'rename a.txt b.txt'],
  ['makes a symbolic link', 'ln -s a.txt link\nsymlink nothing dangling'],
  ['makes a hard link', 'ln a.txt second'],
  ['removes a link and not what it leads to', 'ln -s tree way\nrm way'],
  ['changes permissions', 'chmod 600 a.txt\nchmod 750 tree'],
  ['ignores failures with a dash', '-get missing\n-rm missing\n-mkdir tree\nput a.txt after'],
  ['takes both prefixes', '@-get missing\n-@rm missing\n@put a.txt after'],
  ['passes over comments and empty lines', '# put a.txt one\n\n   \nput a.txt two'],
  ['goes on after a local command that fails', '!false\nput a.txt after'],
  ['lists and shows', 'ls\nls -la\nls -1 tree\npwd\nlpwd\ndf\nversion\nhelp'],
  ['copies on the server', 'cp a.txt copied.txt\ncopy b.txt copied2.txt'],
  ['shows progress or not', 'progress\nput a.txt new\nprogress'],
  ['sets the local umask', 'lumask 077\nget a.txt masked.txt\nlumask 022'],
];

/** Each of these fails at its second line, after which nothing is done. */
const FAILING: readonly (readonly [name: string, line: string])[] = [
  ['a download of nothing', 'get missing'],
  ['an upload of nothing', 'put missing'],
  ['a directory that exists', 'mkdir tree'],
  ['a directory that is missing', 'cd missing'],
  ['a local directory that is missing', 'lcd missing'],
  ['a directory that is not empty', 'rmdir tree'],
  ['a file to be removed that is missing', 'rm missing'],
  ['a pattern that fits nothing', 'get *.none'],
  ['a directory without -r', 'get tree'],
  ['a local directory without -r', 'put tree'],
  ['a new name in a directory that is missing', 'rename a.txt missing/b.txt'],
  ['permissions of nothing', 'chmod 600 missing'],
  ['a link that exists', 'ln -s a.txt b.txt'],
  ['an unknown command', 'frobnicate'],
  ['an unknown option', 'ls -Z'],
  ['a listing of nothing', 'ls missing'],
];

function makeSeed(folder: string): void {
  mkdirSync(join(folder, 'tree', 'deep'), { recursive: true });
  mkdirSync(join(folder, 'sub'));
  mkdirSync(join(folder, 'tree', 'empty'));
  const files = [
    'a.txt',
    'b.txt',
    'with blank.txt',
    'a[1].dat',
    'run.sh',
    'sub/inner.txt',
    'tree/one.txt',
    'tree/deep/two.txt',
  ];
  for (const name of files) writeFileSync(join(folder, name), `${name}\n`.repeat(name.length * 50));
  writeFileSync(join(folder, 'part.txt'), 'a.txt\n'.repeat(50));
  writeFileSync(join(folder, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
}

/** Every path below a folder, with its kind, its permissions and its content. */
function picture(folder: string, below = ''): readonly string[] {
  return readdirSync(join(folder, below))
    .sort()
    .flatMap((name) => {
      const path = join(below, name);
      const stats = lstatSync(join(folder, path));
      const mode = (stats.mode & 0o777).toString(8);
      if (stats.isSymbolicLink()) return [`${path} -> ${readlinkSync(join(folder, path))}`];
      if (stats.isDirectory()) return [`${path}/ ${mode}`, ...picture(folder, path)];
      return [
        `${path} ${mode} ${readFileSync(join(folder, path), 'utf8').length}:${readFileSync(join(folder, path), 'utf8').slice(0, 12)}`,
      ];
    });
}

/** One script after the other, each in its own directories. */
function chain(root: string, scripts: readonly (readonly [string, string])[]): string {
  return scripts
    .map(([, script], index) => `cd ${root}/remote/${index}\nlcd ${root}/local/${index}\n${script}\n`)
    .join('');
}

/** The two programs, each with trees of its own. */
function prepare(world: ProgramWorld, name: string, count: number): string {
  const root = join(world.folder, name);
  for (const side of ['local', 'remote']) {
    for (let index = 0; index < count; index += 1) {
      mkdirSync(join(root, side), { recursive: true });
      cpSync(join(world.folder, 'seed'), join(root, side, `${index}`), { recursive: true });
    }
  }
  return root;
}

async function withMaster<T>(world: ProgramWorld, body: () => Promise<T>): Promise<T> {
  const master = spawn('ssh', ['-F', world.config, '-MN', 'box'], { env: world.env, stdio: 'ignore' });
  try {
    const isUp = () => runProgram(['ssh', '-F', world.config, '-O', 'check', 'box'], { env: world.env });
    for (let tries = 0; tries < 100 && (await isUp()).status !== 0; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return await body();
  } finally {
    const ended = once(master, 'exit');
    master.kill();
    await ended;
  }
}

describe('Batches of tsftp and of sftp', { skip: needsOpenSsh, timeout: 240_000 }, () => {
  test('that succeed leave the same trees on both sides', async () => {
    await using world = await startWorld();
    makeSeed(join(world.folder, 'seed'));
    const roots = ['theirs', 'ours'].map((name) => prepare(world, name, SUCCEEDING.length));
    const [theirs = '', ours = ''] = roots;
    const sftp = await runProgram(['sftp', '-F', world.config, '-b', '-', 'box'], {
      input: chain(theirs, SUCCEEDING),
      env: world.env,
      cwd: world.folder,
    });
    const tsftp = await world.run(['-b', '-', 'box'], { input: chain(ours, SUCCEEDING) });
    assert.equal(sftp.status, 0, sftp.stderr);
    assert.equal(tsftp.status, 0, tsftp.stderr);
    for (const [index, [name, script]] of SUCCEEDING.entries()) {
      for (const side of ['remote', 'local']) {
        const [expected, actual] = roots.map((root) => picture(join(root, side, `${index}`)));
        assert.deepEqual(actual, expected, `A script that ${name} (${side} side):\n${script}`);
      }
    }
  });

  test('that fail stop at the same line, and both tell it by their exit code', async () => {
    await using world = await startWorld();
    makeSeed(join(world.folder, 'seed'));
    const [theirs = '', ours = ''] = ['theirs', 'ours'].map((name) => prepare(world, name, FAILING.length));
    const script = (root: string, index: number, line: string) =>
      `cd ${root}/remote/${index}\nlcd ${root}/local/${index}\nput a.txt before\n${line}\nput a.txt after\n`;
    await withMaster(world, async () => {
      for (const [index, [name, line]] of FAILING.entries()) {
        const sftp = await runProgram(['sftp', '-F', world.config, '-b', '-', 'box'], {
          input: script(theirs, index, line),
          env: world.env,
          cwd: world.folder,
        });
        const tsftp = await world.run(['-b', '-', 'box'], { input: script(ours, index, line) });
        assert.equal(sftp.status, 1, `sftp fails at ${name}`);
        assert.notEqual(tsftp.status, 0, `tsftp fails at ${name}`);
        assert.match(tsftp.stderr, /line 4 failed: /, `tsftp names the line of ${name}`);
        for (const side of ['remote', 'local']) {
          const [expected, actual] = [theirs, ours].map((root) => picture(join(root, side, `${index}`)));
          assert.deepEqual(actual, expected, `After ${name} (${side} side)`);
        }
      }
    });
  });

  test('from a standard input that is no terminal fail too, where sftp ends with 0', async () => {
    await using world = await startWorld();
    const { status, stderr } = await world.run(['box'], { input: 'ls missing\nmkdir never\n' });
    assert.equal(status, 3);
    assert.match(stderr, /line 1 failed: ls missing \(exit code 3\); the batch ends here/);
  });

  test('show each command but those after @, and end at exit', async () => {
    await using world = await startWorld();
    const { status, stdout, stderr } = await world.run(['-b', '-', 'box'], {
      input: '@lpwd\nlpwd\nexit\nget missing\n',
    });
    assert.equal(status, 0);
    assert.equal(stdout, `${world.folder}\n${world.folder}\n`);
    assert.equal(stderr, 'tsftp> lpwd\ntsftp> exit\n');
  });
});
