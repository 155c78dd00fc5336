/** ssh2-sftp-client's transfers of files, against OpenSSH: paths, bytes and streams as sources and targets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { createGunzip, gzipSync } from 'node:zlib';
import type Client from '../../../src/ssh2-sftp-client/index.js';
import { needsOpenSsh } from '../../support/sshd.js';
import { failureOf, startWorld, type World } from './world.js';

const BIG = Buffer.alloc(3_000_000, 'tsftp ');

describe('ssh2-sftp-client, files', { skip: needsOpenSsh }, () => {
  let world: World;
  let client: Client;
  const here = (...names: readonly string[]): string => join(world.here, ...names);
  const there = (...names: readonly string[]): string => join(world.there, ...names);
  const contentOf = (name: string): string => readFileSync(there(name), 'utf8');
  const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

  before(async () => {
    world = await startWorld();
    client = await world.connect();
    writeFileSync(there('g.txt'), 'content of g');
    writeFileSync(there('big'), BIG);
    writeFileSync(here('p.txt'), 'local p');
    writeFileSync(here('big'), BIG);
    mkdirSync(there('dir'));
  });
  after(() => world[Symbol.asyncDispose]());

  test('get without a target gives a Buffer, of a part or as text where the options say so', async () => {
    assert.deepEqual(await client.get(there('g.txt')), Buffer.from('content of g'));
    assert.ok((await client.get(there('big'))).equals(BIG));
    const part = { readStreamOptions: { start: 2, end: 4 } };
    assert.deepEqual(await client.get(there('g.txt'), undefined, part), Buffer.from('nte'));
    const asText = { readStreamOptions: { encoding: 'utf8' } } as const;
    assert.equal(await client.get(there('g.txt'), undefined, asText), 'content of g');
  });

  test('get into a local file gives its path, and follows links', async () => {
    symlinkSync('g.txt', there('link'));
    for (const source of ['g.txt', 'link']) {
      assert.equal(await client.get(there(source), here('g1')), here('g1'));
      assert.equal(readFileSync(here('g1'), 'utf8'), 'content of g');
    }
  });

  test('get heeds the options of the local stream', async () => {
    writeFileSync(here('appended'), 'old-');
    await client.get(there('g.txt'), here('appended'), { writeStreamOptions: { flags: 'a' } });
    assert.equal(readFileSync(here('appended'), 'utf8'), 'old-content of g');
    await client.get(there('g.txt'), here('private'), { writeStreamOptions: { mode: 0o600 } });
    assert.equal(modeOf(here('private')), '600');
    await client.get(there('g.txt'), here('as text'), { writeStreamOptions: { mode: '640' } });
    assert.equal(modeOf(here('as text')), '640');
  });

  test('a range that ends before it starts leaves the local file as it was', async () => {
    writeFileSync(here('ranged'), 'old');
    const range = { readStreamOptions: { start: 5, end: 2 } };
    for (const name of ['ranged', 'unranged']) {
      const [message] = await failureOf(client.get(there('g.txt'), here(name), range));
      assert.match(message, /^get: start 5 is behind end 2 /);
    }
    assert.equal(readFileSync(here('ranged'), 'utf8'), 'old');
    assert.equal(existsSync(here('unranged')), false);
  });

  test('null stands for no options', async () => {
    const none = null as never;
    assert.equal(String(await client.get(there('g.txt'), undefined, none)), 'content of g');
    await client.fastGet(there('g.txt'), here('null'), none);
    await client.put(here('null'), there('null'), none);
    await client.append(Buffer.from('!'), there('null'), none);
    assert.equal(contentOf('null'), 'content of g!');
    const nothing = { readStreamOptions: null, writeStreamOptions: null } as never;
    await client.get(there('g.txt'), here('null'), nothing);
    await client.put(here('null'), there('null'), nothing);
    assert.equal(contentOf('null'), 'content of g');
    await client.fastPut(here('p.txt'), there('null'), none);
    assert.equal(contentOf('null'), 'local p');
  });

  test('an upload without a path on the server is refused', async () => {
    for (const path of [undefined, null] as never[]) {
      for (const call of [client.put(here('p.txt'), path), client.fastPut(here('p.txt'), path)]) {
        const [message, code] = await failureOf(call);
        assert.match(message, /: the path on the server is missing/);
        assert.equal(code, 'ERR_INVALID_ARG_TYPE');
      }
    }
  });

  test('get into a stream gives that stream, and ends it', async () => {
    const file = createWriteStream(here('g2'));
    assert.equal(await client.get(there('g.txt'), file), file);
    assert.equal(readFileSync(here('g2'), 'utf8'), 'content of g');
    const pass = new PassThrough();
    assert.equal(await client.get(there('g.txt'), pass, { pipeOptions: { end: false } }), pass);
    assert.equal(await text(pass), 'content of g');
    writeFileSync(there('g.gz'), gzipSync('unpacked'));
    assert.equal(await text(await client.get(there('g.gz'), createGunzip())), 'unpacked');
  });

  test('a get that fails leaves the local file as it was, and a stream free to be used', async () => {
    writeFileSync(here('kept'), 'old');
    for (const target of [here('kept'), here('new')]) {
      assert.deepEqual(await failureOf(client.get(there('none'), target)), [
        `get: No such file ${there('none')}`,
        2,
      ]);
    }
    assert.equal(readFileSync(here('kept'), 'utf8'), 'old');
    assert.equal(existsSync(here('new')), false);
    const answer = new PassThrough();
    assert.deepEqual(await failureOf(client.get(there('none'), answer)), [
      `get: No such file ${there('none')}`,
      2,
    ]);
    answer.end('404');
    assert.equal(await text(answer), '404');
  });

  test('get tells what cannot be read and what cannot be written', async () => {
    const missing = here('no', 'ne');
    const path = there('g.txt');
    assert.deepEqual(await failureOf(client.get(there('dir'))), [`get: Failure ${there('dir')}`, 4]);
    assert.deepEqual(await failureOf(client.get(path, missing)), [
      `get: Bad path: ${missing}: ${here('no')}: not exist`,
      'ERR_GENERIC_CLIENT',
    ]);
    assert.deepEqual(await failureOf(client.get(path, world.here)), [
      `get: EISDIR: illegal operation on a directory, open '${world.here}' ${world.here}`,
      'EISDIR',
    ]);
    const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error('it is full')) });
    assert.deepEqual(await failureOf(client.get(path, full)), [
      'get: it is full <stream>',
      'ERR_GENERIC_CLIENT',
    ]);
    const closed = createWriteStream(missing);
    const [message, code] = await failureOf(client.get(path, closed));
    assert.deepEqual(
      [message, code],
      [`get: ENOENT: no such file or directory, open '${missing}' <stream>`, 'ENOENT'],
    );
    assert.deepEqual(await failureOf(client.get(path, 5 as never)), [
      'get: the target must be a path or a writable stream',
      'ERR_GENERIC_CLIENT',
    ]);
  });

  test('put takes a path, bytes and streams of either kind', async () => {
    const rows = [
      [here('p.txt'), 'local p'],
      [Buffer.from('bytes'), 'bytes'],
      [new Uint8Array([65, 66]), 'AB'],
      [Buffer.alloc(0), ''],
      [createReadStream(here('p.txt')), 'local p'],
      [Readable.from(['one', 'two']), 'onetwo'],
    ] as const;
    for (const [source, content] of rows) {
      assert.equal(await client.put(source, there('put')), `Uploaded data stream to ${there('put')}`);
      assert.equal(contentOf('put'), content);
    }
    await client.put(createReadStream(here('big')), there('put-big'));
    assert.ok(readFileSync(there('put-big')).equals(BIG));
  });

  test('put waits for a stream that gives its content bit by bit', async () => {
    const source = new PassThrough();
    const putting = client.put(source, there('slow'));
    source.write('first ');
    setImmediate(() => source.end('last'));
    await putting;
    assert.equal(contentOf('slow'), 'first last');
  });

  test('put sets exactly the mode that is asked for, and else leaves it to the server and to the file', async () => {
    await client.put(Buffer.from('x'), there('mode'));
    assert.equal(modeOf(there('mode')), '644');
    for (const [mode, digits] of [
      [0o666, '666'],
      ['0600', '600'],
      [511, '777'],
    ] as const) {
      for (const source of [Buffer.from('x'), here('p.txt')]) {
        await client.put(source, there('mode'), { writeStreamOptions: { mode } });
        assert.equal(modeOf(there('mode')), digits);
        await client.put(source, there(`new-${digits}`), { writeStreamOptions: { mode } });
        assert.equal(modeOf(there(`new-${digits}`)), digits);
      }
    }
    chmodSync(there('mode'), 0o640);
    await client.put(here('p.txt'), there('mode'));
    assert.equal(modeOf(there('mode')), '640');
  });

  test('put heeds flags and start, and the range of a local file', async () => {
    const write = async (options: object, source: string | Buffer = Buffer.from('XX')) => {
      writeFileSync(there('flags'), 'abcdef');
      await client.put(source, there('flags'), options);
      return contentOf('flags');
    };
    assert.equal(await write({ writeStreamOptions: { flags: 'a' } }), 'abcdefXX');
    assert.equal(await write({ writeStreamOptions: { flags: 'a' } }, here('p.txt')), 'abcdeflocal p');
    assert.equal(await write({ writeStreamOptions: { flags: 'r+', start: 2 } }), 'abXXef');
    assert.equal(await write({ writeStreamOptions: { encoding: null, autoClose: false } }), 'XX');
    assert.equal(await write({ readStreamOptions: { start: 2 } }, here('p.txt')), 'cal p');
    const exclusive = client.put(Buffer.from('x'), there('flags'), { writeStreamOptions: { flags: 'wx' } });
    assert.deepEqual(await failureOf(exclusive), [`_put: Write stream error: Failure ${there('flags')}`, 4]);
  });

  test('put tells which side has failed', async () => {
    const bytes = Buffer.from('x');
    const missing = there('no', 'ne');
    assert.deepEqual(await failureOf(client.put(here('none'), there('x'))), [
      `put: Bad path: ${here('none')} not exist`,
      -2,
    ]);
    assert.deepEqual(await failureOf(client.put(world.here, there('x'))), [
      `_put: Read stream error: EISDIR: illegal operation on a directory, read ${world.here}`,
      'EISDIR',
    ]);
    for (const source of [bytes, here('p.txt'), createReadStream(here('p.txt'))]) {
      assert.deepEqual(await failureOf(client.put(source, missing)), [
        `_put: Write stream error: No such file ${missing}`,
        2,
      ]);
      if (source instanceof Readable) source.destroy();
    }
    for (const source of [bytes, here('p.txt')]) {
      assert.deepEqual(await failureOf(client.put(source, there('dir'))), [
        `_put: Write stream error: Failure ${there('dir')}`,
        4,
      ]);
    }
    assert.deepEqual(await failureOf(client.put(5 as never, there('x'))), [
      'put: the source must be a path, a Buffer or a readable stream',
      'ERR_GENERIC_CLIENT',
    ]);
  });

  test('a source that breaks, or is over already, fails the put', async () => {
    for (const flags of ['w', 'a']) {
      const breaking = new Readable({ read: () => breaking.destroy(new Error('the source broke')) });
      const putting = client.put(breaking, there('broken'), { writeStreamOptions: { flags } });
      assert.deepEqual(await failureOf(putting), [
        '_put: Read stream error: the source broke <stream>',
        'ERR_GENERIC_CLIENT',
      ]);
    }
    const over = Readable.from(['x']);
    await text(over);
    assert.match(
      (await failureOf(client.put(over, there('over'))))[0],
      /^_put: Read stream error: .* <stream>$/,
    );
  });

  test('a put that fails leaves the stream of its caller alive', async () => {
    const source = new PassThrough();
    source.write('x');
    const [, code] = await failureOf(client.put(source, there('no', 'ne')));
    assert.equal(code, 2);
    assert.equal(source.destroyed, false);
  });

  test('fastGet and fastPut copy files and tell of each piece', async () => {
    const calls = {
      down: (step: Step) =>
        client.fastGet(there('big'), here('fast'), { concurrency: 4, chunkSize: 32_768, step }),
      up: (step: Step) => client.fastPut(here('big'), there('fast'), { step }),
    };
    type Step = (transferred: number, chunk: number, total: number) => void;
    const results: string[] = [];
    for (const call of Object.values(calls)) {
      let sum = 0;
      results.push(
        await call((transferred, chunk, total) => {
          sum += chunk;
          assert.equal(transferred, sum);
          assert.equal(total, BIG.length);
        }),
      );
      assert.equal(sum, BIG.length);
    }
    assert.deepEqual(results, [
      `${there('big')} was successfully download to ${here('fast')}!`,
      `${here('big')} was successfully uploaded to ${there('fast')}!`,
    ]);
    assert.ok(readFileSync(here('fast')).equals(BIG));
    assert.ok(readFileSync(there('fast')).equals(BIG));
    await client.fastPut(here('p.txt'), there('fast'), { mode: 0o755 });
    assert.equal(modeOf(there('fast')), '755');
  });

  test('fastGet tells what it cannot copy, and leaves nothing behind', async () => {
    const missing = here('no', 'ne');
    assert.deepEqual(await failureOf(client.fastGet(there('none'), here('f'))), [
      `fastGet->fastGet: No such file  ${there('none')}`,
      'ERR_BAD_PATH',
    ]);
    assert.deepEqual(await failureOf(client.fastGet(there('dir'), here('f'))), [
      `fastGet->fastGet: Not a regular file ${there('dir')}`,
      'ERR_BAD_PATH',
    ]);
    assert.deepEqual(await failureOf(client.fastGet(there('g.txt'), missing)), [
      `fastGet->fastGet: Bad path: ${missing}: ${here('no')}: not exist`,
      'ERR_BAD_PATH',
    ]);
    assert.equal(existsSync(here('f')), false);
  });

  test('fastPut tells what it cannot copy', async () => {
    const [local, missing] = [here('p.txt'), there('no', 'ne')];
    const rows = [
      [here('none'), there('f'), `fastPut: Bad path: ${here('none')}: not exist`, -2],
      [world.here, there('f'), `fastPut: Bad path: ${world.here} not a regular file`, 'ERR_BAD_PATH'],
      [local, missing, `fastPut: No such file Local: ${local} Remote: ${missing}`, 2],
      [local, there('dir'), `fastPut: Failure Local: ${local} Remote: ${there('dir')}`, 4],
    ] as const;
    for (const [source, target, ...failure] of rows) {
      assert.deepEqual(await failureOf(client.fastPut(source, target)), failure);
    }
  });

  test('append adds bytes and streams to the end, and makes what is missing', async () => {
    const path = there('log');
    for (const input of [Buffer.from('one '), createReadStream(here('p.txt')), Readable.from([' three'])]) {
      assert.equal(await client.append(input, path), `Appended data to ${path}`);
    }
    assert.equal(contentOf('log'), 'one local p three');
    await client.append(Buffer.from('!'), path, {
      flags: 'a',
      encoding: 'utf8',
      mode: 0o666,
      autoClose: true,
    });
    assert.equal(contentOf('log'), 'one local p three!');
    await client.append(Buffer.from('?'), path, { flags: 'w' });
    assert.equal(contentOf('log'), 'one local p three!?');
  });

  test('append tells what it cannot do', async () => {
    const missing = there('no', 'ne');
    const bytes = Buffer.from('x');
    assert.deepEqual(await failureOf(client.append('p.txt' as never, there('log'))), [
      'append: Cannot append one file to another',
      'ERR_BAD_PATH',
    ]);
    assert.deepEqual(await failureOf(client.append(bytes, there('dir'))), [
      `append: Bad path: ${there('dir')}: cannot append to a directory`,
      'ERR_BAD_PATH',
    ]);
    assert.deepEqual(await failureOf(client.append(bytes, missing)), [`append: No such file ${missing}`, 2]);
  });

  test('createReadStream reads a file or a part of it, with the events of a file stream', async () => {
    const options = { flags: 'r', encoding: null, handle: null, mode: 0o666, autoClose: true };
    const stream = client.createReadStream(there('g.txt'), options);
    const events: string[] = [];
    for (const event of ['open', 'ready', 'end', 'close']) stream.on(event, () => events.push(event));
    stream.resume();
    await once(stream, 'close');
    assert.deepEqual(events, ['open', 'ready', 'end', 'close']);
    assert.equal(await text(client.createReadStream(there('g.txt'), { start: 1, end: 3 })), 'ont');
  });

  test('createWriteStream writes a file, at its end or at a place in it', async () => {
    const write = async (content: string, options = {}) => {
      await pipeline(Readable.from([content]), client.createWriteStream(there('w'), options));
      return contentOf('w');
    };
    assert.equal(await write('written', { mode: 0o664 }), 'written');
    assert.equal(modeOf(there('w')), '664');
    assert.equal(await write('+more', { flags: 'a', encoding: null, autoClose: true }), 'written+more');
    assert.equal(await write('XX', { flags: 'r+', start: 2 }), 'wrXXten+more');
  });

  test('streams emit errors with the code and the words of the server', async () => {
    const reading = client.createReadStream(there('none'));
    const writing = client.createWriteStream(there('no', 'ne'));
    for (const stream of [reading, writing]) {
      const [error] = await once(stream, 'error');
      assert.deepEqual([error.message, error.code, error.custom], ['No such file', 2, true]);
    }
  });

  test('twenty files go there and back at once', async () => {
    const names = Array.from({ length: 20 }, (_, index) => there(`parallel-${index}`));
    await Promise.all(names.map((name, index) => client.put(Buffer.from(String(index)), name)));
    const contents = await Promise.all(names.map((name) => client.get(name)));
    assert.deepEqual(
      contents.map(String),
      names.map((_, index) => String(index)),
    );
  });
});
