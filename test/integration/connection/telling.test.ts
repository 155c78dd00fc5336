import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import {
  type Connection,
  ConnectionLostError,
  type ConnectOptions,
  connect,
  type Reconnecting,
} from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';

function logIn(
  { host, username, password, hostKey, port }: TestServer,
  options: ConnectOptions = {},
): Promise<Connection> {
  return connect(host, { port, username, password, fingerprint: hostKey.fingerprint, ...options });
}

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-telling-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function recordingLogger() {
  const lines: string[] = [];
  const at = (level: string) => (line: string) => lines.push(`${level} ${line}`);
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { lines, logger, levelled: (level: string) => lines.filter((line) => line.startsWith(level)) };
}

describe('What a connection tells of itself', () => {
  test('it is connected until it is closed, and tells that close() was the reason', async () => {
    await using server = await startServer({ files: {} });
    const sftp = await logIn(server);
    const { closed } = sftp;
    assert.equal(sftp.isConnected, true);
    await sftp.close();
    assert.equal(sftp.isConnected, false);
    for (const reason of [await closed, await sftp.closed]) {
      assert.ok(reason instanceof ConnectionLostError);
      assert.equal(reason.code, 'CLOSED');
    }
  });

  test('without retry, a loss is the end, and the reason is told', async () => {
    await using server = await startServer({ files: {} });
    await using sftp = await logIn(server);
    server.disconnectAll();
    const reason = await sftp.closed;
    assert.ok(reason instanceof ConnectionLostError && reason.code !== 'CLOSED', String(reason));
    assert.equal(sftp.isConnected, false);
  });

  test('with retry, it tells of each attempt to reconnect, and that it has; a loss is not the end', async () => {
    await using server = await startServer({ files: { file: 'text' } });
    const told: Reconnecting[] = [];
    let reconnected = 0;
    const { logger, levelled } = recordingLogger();
    await using sftp = await logIn(server, {
      logger,
      retry: { attempts: 4, delay: 10, jitter: 0 },
      onReconnecting: (coming) => {
        told.push(coming);
        throw new Error('a listener that fails');
      },
      onReconnected: () => {
        reconnected += 1;
      },
    });
    let isOver = false;
    void sftp.closed.then(() => {
      isOver = true;
    });
    const ended = new Promise<void>((resolve) => {
      sftp.sftpClient.ended.addEventListener('abort', () => resolve(), { once: true });
    });
    server.disconnectAll();
    await ended;
    assert.equal(sftp.isConnected, false);
    assert.equal((await sftp.stat('file')).size, 4);
    assert.deepEqual([sftp.isConnected, isOver, reconnected], [true, false, 1]);
    assert.deepEqual(
      told.map(({ attempt, delay, error }) => [attempt, delay, error instanceof ConnectionLostError]),
      [[1, 10, true]],
    );
    assert.ok(levelled('warn').some((line) => /reconnecting in 10 ms, attempt 1 of 4/.test(line)));
    assert.ok(levelled('info').includes('info reconnected'));
    assert.deepEqual(levelled('error'), []);
  });

  test('the log has one line for each transfer, and one for each call that has failed', async (t) => {
    const folder = await makeFolder(t);
    await using server = await startServer({ files: { file: 'text', 'tree/a': 'one', 'tree/b': 'three' } });
    const { logger, lines, levelled } = recordingLogger();
    await using sftp = await logIn(server, { logger });
    lines.length = 0;
    await sftp.get('file', join(folder, 'file'));
    await sftp.put(join(folder, 'file'), 'copy');
    await sftp.getR('tree', folder);
    await sftp.putfo(Readable.from(['text']), 'streamed');
    await sftp.createReadStream('file').toArray();
    const transfers = levelled('info').map((line) => line.replace(/ in [\d.]+ s, [\d.]+ MiB\/s$/, ' in …'));
    assert.deepEqual(transfers, [
      `info get 'file' to '${folder}/file': 4 bytes in …`,
      `info put '${folder}/file' to 'copy': 4 bytes in …`,
      `info getR 'tree' to '${folder}': 2 files, 8 bytes in …`,
      "info putfo the source to 'streamed': 4 bytes in …",
      "info createReadStream 'file' to the stream: 4 bytes in …",
    ]);
    assert.deepEqual(levelled('warn'), []);
    await assert.rejects(sftp.get('missing', join(folder, 'missing')), { code: 'ENOENT' });
    await assert.rejects(sftp.remove('missing'), { code: 'ENOENT' });
    await assert.rejects(sftp.stat(''), TypeError);
    assert.equal(await sftp.exists('missing'), false);
    const failures = levelled('warn');
    assert.equal(failures.length, 2, failures.join('\n'));
    assert.match(failures[0] ?? '', /^warn get failed: .*'missing'/);
    assert.match(failures[1] ?? '', /^warn remove failed: .*'missing'/);
  });
});
