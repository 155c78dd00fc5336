/** The programs of examples/fs, each against the embedded server, and docs/fs.md, which shows them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';

const FILES = {
  'inbox/.keep': '',
  'public/index.txt': 'hello',
  'public/sub/page.html': '<p>page</p>',
  'reports/may.csv': 'eggs,10\nmilk,5\n',
};

/** Starts a program, and gives the first line that it prints. */
async function begin(t: TestContext, server: TestServer, name: string, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', join('examples/fs', name)], {
    env: {
      ...process.env,
      SFTP_URL: `sftp://me:secret@${server.host}:${server.port}`,
      SFTP_FINGERPRINT: server.hostKey.fingerprint,
      PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { line, child };
}

describe('The programs of examples/fs', { timeout: 120_000 }, () => {
  const start = () => startServer({ files: FILES }, { users: { me: 'secret' } });

  test('store an upload under a name of their own when it is complete', async (t) => {
    await using server = await start();
    const { line: url } = await begin(t, server, 'upload-handler.ts');
    const form = new FormData();
    form.append('file', new Blob(['one egg']), '../../etc/passwd');
    const response = await fetch(url, { method: 'POST', body: form });
    assert.equal(response.status, 201);
    const [path = '', size] = (await response.text()).trim().split(' ');
    assert.equal(size, '7');
    assert.equal(server.readFile(`/inbox${path}`).toString(), 'one egg');
    assert.deepEqual(server.listNames('/inbox'), ['.keep', path.slice(1)]);
  });

  test('show a directory and its files in a browser, and nothing outside of it', async (t) => {
    await using server = await start();
    const { line: url } = await begin(t, server, 'file-browser.ts');
    const page = await (await fetch(url)).text();
    assert.match(page, /index\.txt/);
    assert.match(page, /sub&#47;/);
    assert.equal(await (await fetch(`${url}index.txt`)).text(), 'hello');
    assert.equal((await fetch(`${url}..%2freports/may.csv`)).status, 404);
  });

  test('back up a directory', async (t) => {
    await using server = await start();
    const target = join(makeFolder(t), 'backup.tar.gz');
    const { line } = await begin(t, server, 'backup.ts', { BACKUP: target });
    assert.equal(line, `saved ${target}`);
    const archive = gunzipSync(readFileSync(target)).toString();
    assert.match(archive, /^(?:.|\n)*may\.csv(?:.|\n)*eggs,10\nmilk,5\n/);
  });

  test('are shown in docs/fs.md as they are', () => {
    const text = readFileSync('docs/fs.md', 'utf8');
    for (const name of readdirSync('examples/fs')) {
      const code = readFileSync(join('examples/fs', name), 'utf8');
      assert.ok(text.includes(`\`examples/fs/${name}\`\n\n\`\`\`ts\n${code}\`\`\`\n`), name);
    }
  });
});
