/** Real jobs of real packages that take an `fs` object. Each gives what has to be the same on every file system. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type nodeFs from 'node:fs';
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { crc32, deflateRawSync } from 'node:zlib';
import fastGlob from 'fast-glob';
import { fdir } from 'fdir';
import { glob as globPackage } from 'glob';
import multer from 'multer';
import serveHandler from 'serve-handler';
import tar, { type Headers } from 'tar-fs';
import { glob as tinyGlob } from 'tinyglobby';
import { Union } from 'unionfs';
import * as yauzl from 'yauzl';

export type NodeFs = typeof nodeFs;

export interface Job {
  readonly name: string;
  /** Works below `base`, and gives what is to be compared. */
  run(fs: NodeFs, base: string): Promise<unknown>;
}

const FILES = 60;
const DATE = new Date('2024-05-26T23:32:10Z');

/** A tree with links, hidden files, an archive and a file of several requests. */
export function plantTree(folder: string): void {
  for (let index = 0; index < FILES; index += 1) {
    const extension = ['txt', 'html', 'json'][index % 3];
    write(folder, `pages/d${index % 6}/sub/f${index}.${extension}`, `content of ${index}\n`.repeat(index));
  }
  write(folder, 'pages/.hidden/inside.txt', 'hidden');
  write(folder, 'pages/index.html', '<h1>index</h1>');
  write(folder, 'pages/large.bin', Buffer.alloc(700_001, 'large '));
  write(folder, 'archive.zip', zipOf({ 'a.txt': 'a'.repeat(5000), 'dir/b.txt': 'b' }));
  symlinkSync('index.html', join(folder, 'pages/link.html'));
  for (const name of ['pages/index.html', 'pages/large.bin']) utimesSync(join(folder, name), DATE, DATE);
}

function write(folder: string, name: string, content: string | Buffer): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  utimesSync(path, DATE, DATE);
}

/** A ZIP archive (APPNOTE.TXT, 4.3): local headers and contents, then the central directory. */
function zipOf(files: Readonly<Record<string, string>>): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const packed = deflateRawSync(content);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crcOf(Buffer.from(content)), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    central.push(
      Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), fields, rest, Buffer.from(name)]),
    );
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(central.length, 4);
  end.writeUInt16LE(central.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06'), end]);
}

/** Node has one from version 22 on. */
function crcOf(bytes: Buffer): number {
  if (typeof crc32 === 'function') return crc32(bytes);
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

/** Links and directories have got the time at which they were made. */
function pack(fs: NodeFs, folder: string): Promise<Buffer> {
  const map = (header: Headers) => (header.type === 'file' ? header : { ...header, mtime: DATE });
  const options: tar.PackOptions = { ...{ fs, sort: true }, map };
  return buffer(tar.pack(folder, options));
}

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export const SEARCHES: readonly Job[] = [
  {
    name: 'glob',
    run: async (fs, base) => (await globPackage('**/*.{txt,html}', { cwd: base, fs })).sort(),
  },
  {
    name: 'glob with attributes',
    run: async (fs, base) => {
      const found = await globPackage('pages/**', {
        cwd: base,
        fs,
        stat: true,
        withFileTypes: true,
        dot: true,
      });
      return found.map((each) => `${each.relative()} ${each.isFile() ? each.size : 'directory'}`).sort();
    },
  },
  {
    name: 'fast-glob',
    run: async (fs, base) => {
      const found = await fastGlob('**/*.html', { cwd: base, fs, stats: true, followSymbolicLinks: false });
      return found.map(({ path, stats }) => `${path} ${stats?.isFile()}`).sort();
    },
  },
  {
    name: 'tinyglobby',
    run: async (fs, base) => (await tinyGlob('pages/**/*.json', { cwd: base, fs })).sort(),
  },
  {
    name: 'fdir',
    run: async (fs, base) => (await new fdir({ fs }).withRelativePaths().crawl(base).withPromise()).sort(),
  },
];

export const OTHER_JOBS: readonly Job[] = [
  { name: 'tar-fs packs', run: async (fs, base) => hash(await pack(fs, `${base}/pages`)) },
  {
    name: 'tar-fs extracts',
    run: async (fs, base) => {
      const archive = await pack(fs, `${base}/pages`);
      // Its types do not know the option that it has.
      const options = { fs } as tar.ExtractOptions;
      await pipeline(Readable.from([archive]), tar.extract(`${base}/copy`, options));
      return hash(await pack(fs, `${base}/copy`));
    },
  },
  {
    name: 'unionfs',
    run: async (fs, base) => {
      const union = new Union().use(fs as never);
      const read = (name: string) =>
        new Promise((resolve) => {
          const functions = union as unknown as NodeFs;
          functions.readFile(`${base}/${name}`, 'utf8', (error, content) => resolve(error?.code ?? content));
        });
      return [await read('pages/index.html'), await read('pages/missing.html')];
    },
  },
  { name: 'yauzl by ranges', run: readArchive },
  { name: 'serve-handler', run: browse },
  { name: 'multer', run: upload },
];

/** Only the ranges that the archive's directory names are read. */
async function readArchive(fs: NodeFs, base: string): Promise<unknown> {
  const path = `${base}/archive.zip`;
  class RangeReader extends yauzl.RandomAccessReader {
    override _readStreamForRange(start: number, end: number): Readable {
      return fs.createReadStream(path, { start, end: end - 1 });
    }
  }
  const { size } = await fs.promises.stat(path);
  const archive = await yauzl.fromRandomAccessReaderPromise(new RangeReader(), size, { lazyEntries: true });
  const found: string[] = [];
  archive.on('error', () => {});
  archive.readEntry();
  for await (const [entry] of eventsOf(archive)) {
    const content = await new Promise<string>((resolve, reject) => {
      archive.openReadStream(entry, (error, stream) => {
        if (error) reject(error);
        else text(stream).then(resolve, reject);
      });
    });
    found.push(`${entry.fileName} ${content.length}`);
    archive.readEntry();
  }
  return found;
}

async function* eventsOf(archive: yauzl.ZipFile): AsyncGenerator<[yauzl.Entry]> {
  for (;;) {
    const next = await new Promise<yauzl.Entry | undefined>((resolve, reject) => {
      archive.once('entry', resolve);
      archive.once('end', () => resolve(undefined));
      archive.once('error', reject);
    });
    if (next === undefined) return;
    yield [next];
  }
}

async function browse(fs: NodeFs, base: string): Promise<unknown> {
  const { lstat, realpath, readdir } = fs.promises;
  const server = createServer((request, response) => {
    // The handler pipes it without a look at its errors.
    const createReadStream = async (path: string, options?: object) =>
      fs.createReadStream(path, options).on('error', () => response.destroy());
    const methods = { lstat, realpath, readdir, createReadStream };
    // What it is given for its methods is typed as the callback forms, which it does not call.
    const handling = serveHandler(
      request,
      response,
      { public: `${base}/pages`, symlinks: true },
      methods as never,
    );
    handling.catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const listing = await (await fetch(`${url}/d1/sub`, { headers: { accept: 'application/json' } })).text();
    const large = await fetch(`${url}/large.bin`);
    const part = await fetch(`${url}/large.bin`, { headers: { range: 'bytes=100-199' } });
    return [
      listing.replaceAll(base, ''),
      hash(Buffer.from(await large.arrayBuffer())),
      [part.status, (await part.arrayBuffer()).byteLength],
      (await fetch(`${url}/nothing`)).status,
    ];
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Stores what is uploaded on the file system, as an engine of multer. */
async function upload(fs: NodeFs, base: string): Promise<unknown> {
  const storage: multer.StorageEngine = {
    _handleFile: (_, file, done) => {
      const path = `${base}/uploads/${file.originalname}`;
      const storing = fs.promises
        .mkdir(`${base}/uploads`, { recursive: true })
        .then(() => pipeline(file.stream, fs.createWriteStream(path)));
      storing.then(() => done(null, { path }), done);
    },
    _removeFile: (_, file, done) => fs.unlink(file.path, done),
  };
  const take = multer({ storage }).array('files');
  const server = createServer((request, response) => {
    take(request as never, response as never, (error: unknown) => {
      response.statusCode = error ? 500 : 200;
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const form = new FormData();
    form.append('files', new Blob(['one egg']), 'small.txt');
    form.append('files', new Blob([Buffer.alloc(400_000, 'x')]), 'large.txt');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { status } = await fetch(url, { method: 'POST', body: form });
    if (status !== 200) throw new Error(`The upload was answered with ${status}`);
    const content = await fs.promises.readFile(`${base}/uploads/large.txt`);
    return [await fs.promises.readFile(`${base}/uploads/small.txt`, 'utf8'), hash(content)];
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
