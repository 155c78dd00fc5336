/** What cannot be meant is refused by files and streams with an error that says why, and nothing is sent. */
import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import type { Connection, RemoteFile } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { connectToServer } from '../../support/login.js';

const world: { server?: TestServer; sftp?: Connection; file?: RemoteFile } = {};
before(async () => {
  world.server = await startServer({ files: { 'a.txt': 'a' } });
  world.sftp = await connectToServer(world.server);
  world.file = await world.sftp.open('a.txt', 'r+');
});
after(() => world.server?.close());

type Call = (sftp: Connection, value: never) => unknown;

const sink = { write: () => {} };
const paths: Readonly<Record<string, readonly [string, Call]>> = {
  open: ['file', (sftp, path) => sftp.open(path)],
  readFile: ['path', (sftp, path) => sftp.readFile(path)],
  writeFile: ['path', (sftp, path) => sftp.writeFile(path, 'x')],
  appendFile: ['path', (sftp, path) => sftp.appendFile(path, 'x')],
  createReadStream: ['path', (sftp, path) => sftp.createReadStream(path)],
  createWriteStream: ['path', (sftp, path) => sftp.createWriteStream(path)],
  getfo: ['remotepath', (sftp, path) => sftp.getfo(path, sink)],
  putfo: ['remotepath', (sftp, path) => sftp.putfo('x', path)],
};

const SAFE = Number.MAX_SAFE_INTEGER;
const MOST = 2 ** 31 - 1;
const count = (name: string, value: number, max = SAFE) =>
  new RangeError(`${name} must be an integer between 0 and ${max}, not ${value}`);
const modes = 'r, r+, w, w+, a, a+, x, x+, wx, wx+, ax, ax+';
const surrogate = (name: string) =>
  new TypeError(`${name} has a lone surrogate, which UTF-8 cannot carry; pass bytes`);
const unknownEncoding = new TypeError(
  "encoding 'klingon' is unknown: use for instance 'utf8', or leave it out for bytes",
);
const endedStream = new Writable();
endedStream.destroy();
const readStream = Readable.from(['x']);
const lockedSource = new ReadableStream();
lockedSource.getReader();
const lockedSink = new WritableStream();
lockedSink.getWriter();
const NOT_A_SOURCE =
  'the source must be a Readable, a ReadableStream, an iterable, a Blob, a string or bytes';
const NOT_A_SINK = 'the sink must be a Writable, a WritableStream or have write()';

const onConnection: readonly (readonly [string, (sftp: Connection) => unknown, Error])[] = [
  [
    'an unknown mode',
    (sftp) => sftp.open('a.txt', 'q'),
    new RangeError(`mode 'q' is unknown: files are binary, and the modes are ${modes}`),
  ],
  [
    'a mode that is no string',
    (sftp) => sftp.open('a.txt', 0o644 as never),
    new TypeError("mode must be a string such as 'r', not number"),
  ],
  [
    'permissions that could mean two modes',
    (sftp) => sftp.open('b', 'w', { permissions: 0o777 }),
    new RangeError("mode 511 could mean 511 or 0o777: write it as a string, '511' or '777'"),
  ],
  [
    'half a bufsize',
    (sftp) => sftp.open('a.txt', 'r', 0.5),
    new RangeError('bufsize 0.5 is neither -1 nor a number of bytes'),
  ],
  [
    'a negative bufsize',
    (sftp) => sftp.open('a.txt', 'r', -2),
    new RangeError('bufsize -2 is neither -1 nor a number of bytes'),
  ],
  [
    'a bufsize of text',
    (sftp) => sftp.open('a.txt', 'r', { bufsize: '1' as never }),
    new TypeError('bufsize must be a number, not string'),
  ],
  [
    'options of open that are none',
    (sftp) => sftp.open('a.txt', 'r', null as never),
    new TypeError('The options of open must be an object, not null'),
  ],
  ['an unknown encoding to read', (sftp) => sftp.readFile('a.txt', 'klingon' as never), unknownEncoding],
  [
    'an unknown encoding to write',
    (sftp) => sftp.writeFile('b', 'x', { encoding: 'klingon' as never }),
    unknownEncoding,
  ],
  [
    'options that are a number',
    (sftp) => sftp.readFile('a.txt', 7 as never),
    new TypeError('options must be an object or an encoding, not number'),
  ],
  [
    'data that is a number',
    (sftp) => sftp.writeFile('b', 7 as never),
    new TypeError('data must be a string or bytes, not number'),
  ],
  [
    'data that is null',
    (sftp) => sftp.appendFile('b', null as never),
    new TypeError('data must be a string or bytes, not null'),
  ],
  ['a lone surrogate to write', (sftp) => sftp.writeFile('b', 'a\ud800'), surrogate('data')],
  [
    'a flag that does not write',
    (sftp) => sftp.writeFile('b', 'x', { flag: 'r' }),
    new RangeError("flag 'r' is only for reading: use 'w', 'r+', 'a' or 'x'"),
  ],
  [
    'a mode of 888',
    (sftp) => sftp.writeFile('b', 'x', { mode: 888 }),
    new RangeError("mode 888 (0o1570) is an unusual mode: if you mean it, write it as a string: '1570'"),
  ],
  [
    'flags of a stream that does not write',
    (sftp) => sftp.createWriteStream('b', { flags: 'r' }),
    new RangeError("flags 'r' is only for reading: use 'w', 'r+', 'a' or 'x'"),
  ],
  ['a stream that starts nowhere', (sftp) => sftp.createWriteStream('b', { start: -1 }), count('start', -1)],
  [
    'a stream that ends before it starts',
    (sftp) => sftp.createReadStream('a.txt', { start: 2, end: 1 }),
    new RangeError('start 2 is behind end 1'),
  ],
  [
    'a stream from NaN',
    (sftp) => sftp.createReadStream('a.txt', { start: Number.NaN }),
    count('start', Number.NaN),
  ],
  [
    'a stream to text',
    (sftp) => sftp.createReadStream('a.txt', { end: '1' as never }),
    new TypeError('end must be a number, not string'),
  ],
  [
    'a stream without room',
    (sftp) => sftp.createReadStream('a.txt', { highWaterMark: 0 }),
    new RangeError('highWaterMark must be greater than 0'),
  ],
  [
    'a stream of unknown text',
    (sftp) => sftp.createReadStream('a.txt', { encoding: 'klingon' as never }),
    unknownEncoding,
  ],
  [
    'no sink',
    (sftp) => sftp.getfo('a.txt', undefined as never),
    new TypeError(`${NOT_A_SINK}, not undefined`),
  ],
  [
    'a sink without write',
    (sftp) => sftp.getfo('a.txt', new Map() as never),
    new TypeError(`${NOT_A_SINK}, not Map`),
  ],
  [
    'a sink that has ended',
    (sftp) => sftp.getfo('a.txt', endedStream),
    new TypeError('the sink is a stream that has ended'),
  ],
  [
    'a sink that is locked',
    (sftp) => sftp.getfo('a.txt', lockedSink),
    new TypeError('the sink is a locked WritableStream'),
  ],
  [
    'a callback that is none',
    (sftp) => sftp.getfo('a.txt', sink, { callback: 7 as never }),
    new TypeError('callback must be a function, not number'),
  ],
  [
    'no source',
    (sftp) => sftp.putfo(undefined as never, 'b'),
    new TypeError(`${NOT_A_SOURCE}, not undefined`),
  ],
  [
    'a source that gives nothing',
    (sftp) => sftp.putfo({} as never, 'b'),
    new TypeError(`${NOT_A_SOURCE}, not Object`),
  ],
  [
    'a source that is a number',
    (sftp) => sftp.putfo(7 as never, 'b'),
    new TypeError(`${NOT_A_SOURCE}, not number`),
  ],
  [
    'a source that is locked',
    (sftp) => sftp.putfo(lockedSource, 'b'),
    new TypeError('the source is a locked ReadableStream'),
  ],
  [
    'a source that has been read',
    (sftp) => sftp.putfo(readStream, 'b'),
    new TypeError('the source is a stream that has already ended'),
  ],
  ['a source of a lone surrogate', (sftp) => sftp.putfo('\udc00', 'b'), surrogate('the source')],
  [
    'no remotepath',
    (sftp) => sftp.putfo('x', undefined as never),
    new TypeError('remotepath must be a string or a Uint8Array, not undefined'),
  ],
  ['a negative fileSize', (sftp) => sftp.putfo('x', 'b', { fileSize: -1 }), count('fileSize', -1)],
  [
    'a callback of putfo that is none',
    (sftp) => sftp.putfo('x', 'b', { callback: 'f' as never }),
    new TypeError('callback must be a function, not string'),
  ],
];

const onFile: readonly (readonly [string, (file: RemoteFile) => unknown, Error])[] = [
  ['to read a negative length', (file) => file.read(-1), count('length', -1, MOST)],
  ['to read half a byte', (file) => file.read(0.5), count('length', 0.5, MOST)],
  ['to read NaN bytes', (file) => file.read(Number.NaN), count('length', Number.NaN, MOST)],
  ['to read more than fits into memory', (file) => file.read(2 ** 31), count('length', 2 ** 31, MOST)],
  ['to read text', (file) => file.read('1' as never), new TypeError('length must be a number, not string')],
  ['to read before the start', (file) => file.readAt(-1, 1), count('offset', -1)],
  ['to read beyond all offsets', (file) => file.readAt(2 ** 53, 1), count('offset', 2 ** 53)],
  [
    'to read a length of null',
    (file) => file.readAt(0, null as never),
    new TypeError('length must be a number, not null'),
  ],
  [
    'to write a number',
    (file) => file.write(7 as never),
    new TypeError('data must be a string or bytes, not number'),
  ],
  ['to write a lone surrogate', (file) => file.write('\ud800'), surrogate('data')],
  ['to write before the start', (file) => file.writeAt(-1, 'x'), count('offset', -1)],
  [
    'to write an object',
    (file) => file.writeAt(0, {} as never),
    new TypeError('data must be a string or bytes, not Object'),
  ],
  [
    'to write a whole file of nothing',
    (file) => file.writeFile(undefined as never),
    new TypeError('data must be a string or bytes, not undefined'),
  ],
  ['to read a whole file as klingon', (file) => file.readFile('klingon' as never), unknownEncoding],
  ['to seek half a byte', (file) => file.seek(0.5), new RangeError('offset 0.5 is not a whole number')],
  ['to seek text', (file) => file.seek('1' as never), new TypeError('offset must be a number, not string')],
  [
    'to seek from nowhere',
    (file) => file.seek(0, 3 as never),
    new RangeError("whence must be 'start', 'current', 'end', 0, 1 or 2"),
  ],
  ['to seek before the start', (file) => file.seek(-1), count('the position', -1)],
  ['to truncate to a negative size', (file) => file.truncate(-1), count('size', -1)],
  [
    'to truncate to text',
    (file) => file.truncate('1' as never),
    new TypeError('size must be a number, not string'),
  ],
  [
    'a literal as mode',
    (file) => file.chmod(0o777),
    new RangeError("mode 511 could mean 511 or 0o777: write it as a string, '511' or '777'"),
  ],
  [
    'a time before 1970',
    (file) => file.utimes(-1, 0),
    new RangeError('atime -1 is not between 1970 and 2106'),
  ],
  [
    'a time of text',
    (file) => file.utimes(0, 'now' as never),
    new TypeError('mtime must be seconds since 1970 or a Date, not string'),
  ],
  [
    'lines of utf16le',
    (file) => file.lines({ encoding: 'utf16le' }).next(),
    new TypeError("encoding 'utf16le' has no lines of bytes: use 'utf8' or 'latin1'"),
  ],
  ['lines of negative length', (file) => file.lines({ maxLength: -1 }).next(), count('maxLength', -1)],
  ['a stream that starts nowhere', (file) => file.createReadStream({ start: -1 }), count('start', -1)],
  [
    'a stream to write from text',
    (file) => file.createWriteStream({ start: '1' as never }),
    new TypeError('start must be a number, not string'),
  ],
];

/** Makes the call, expects the error, and that no request has arrived. */
async function refuses(call: Call, value: unknown, error: Error): Promise<void> {
  const { server, sftp } = world;
  assert.ok(server !== undefined && sftp !== undefined);
  const seen = () => structuredClone({ ...server.counters, mostOutstanding: undefined });
  const before = seen();
  await assert.rejects(async () => call(sftp, value as never), error);
  // Whatever had been sent would have arrived before this.
  await sftp.stat('.');
  before.requests.stat += 1;
  before.turns += 1;
  assert.deepEqual(seen(), before);
}

describe('A path that cannot be meant', () => {
  for (const [method, [name, call]] of Object.entries(paths)) {
    test(`is refused by ${method}`, async () => {
      await refuses(call, '', new TypeError(`${name} is empty: use '.' for the current directory`));
      await refuses(call, 'a\0b', new TypeError(`${name} 'a\\x00b' contains a NUL character`));
      const lone = `${name} 'a\\ud800' has a lone surrogate, which UTF-8 cannot carry; pass bytes`;
      await refuses(call, 'a\ud800', new TypeError(lone));
      await refuses(call, 7, new TypeError(`${name} must be a string or a Uint8Array, not number`));
      await refuses(
        call,
        'x'.repeat(70_000),
        new RangeError(`${name} has 70000 bytes: at most 65536 are allowed`),
      );
    });
  }
});

describe('What cannot be meant is refused', () => {
  before(() => readStream.toArray());

  for (const [what, call, error] of onConnection) test(what, () => refuses(call, undefined, error));
  for (const [what, call, error] of onFile) {
    test(`by an open file: ${what}`, () =>
      refuses(
        () => {
          assert.ok(world.file);
          return call(world.file);
        },
        undefined,
        error,
      ));
  }

  test('by an open file: what its mode does not allow', async () => {
    const { sftp } = world;
    assert.ok(sftp);
    const reader = await sftp.open('a.txt', 'rb');
    const writer = await sftp.open('a.txt', 'a');
    const notWriting = `'a.txt' was opened with mode 'rb', not for writing: open it with 'w' or 'r+'`;
    const notReading = `'a.txt' was opened with mode 'a', not for reading: open it with 'r' or 'w+'`;
    for (const call of [
      () => reader.write('x'),
      () => reader.writeAt(0, 'x'),
      () => reader.writeFile('x'),
      () => reader.truncate(0),
    ]) {
      await refuses(call, undefined, new TypeError(notWriting));
    }
    for (const call of [
      () => writer.read(),
      () => writer.readAt(0, 1),
      () => writer.readFile(),
      () => writer.lines().next(),
      () => writer.createReadStream({ autoClose: false }).toArray(),
    ]) {
      await refuses(call, undefined, new TypeError(notReading));
    }
    await Promise.all([reader.close(), writer.close()]);
  });

  test('but no promise is ever thrown in place of a rejection', async () => {
    const { sftp, file } = world;
    assert.ok(sftp !== undefined && file !== undefined);
    const results = [
      sftp.open(7 as never),
      sftp.readFile(7 as never),
      sftp.writeFile('b', 7 as never),
      sftp.appendFile('b', 7 as never),
      sftp.getfo('a.txt', 7 as never),
      sftp.putfo(7 as never, 'b'),
      file.read(-1),
      file.write(7 as never),
      file.seek(Number.NaN),
      file.truncate(-1),
      file.chmod(888),
      file.utimes(-1, -1),
    ];
    await Promise.all(results.map((result) => assert.rejects(result)));
  });
});
