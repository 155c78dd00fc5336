/** The entry point as it is published: what import and require give. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import Client, * as names from '../../../src/ssh2-sftp-client/index.js';

test('the class is the default export, has a name, and is what require gives', () => {
  assert.equal(Client.name, 'SftpClient');
  assert.equal(names.SftpClient, Client);
  assert.equal((names as Readonly<Record<string, unknown>>)['module.exports'], Client);
});

test('CommonJS code gets the class itself from require, and ES modules the same class', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-modules-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  await build({
    entryPoints: ['src/ssh2-sftp-client/index.ts'],
    outfile: join(folder, 'drop-in.mjs'),
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
  });
  writeFileSync(
    join(folder, 'main.cjs'),
    `const Client = require('./drop-in.mjs');
     const client = new Client('mine');
     import('./drop-in.mjs').then((all) => console.log(client.clientName, all.default === Client));`,
  );
  assert.equal(
    execFileSync(process.execPath, [join(folder, 'main.cjs')], { encoding: 'utf8' }),
    'mine true\n',
  );
});
