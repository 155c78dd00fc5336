/** Listings that are longer than a call may have arguments, and those that would fill the memory. */
import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Connection } from '../../src/index.js';
import { Window } from '../../src/transfer/engine/window.js';
import type { DirectoryEntry, FileSystem, Place } from '../../src/transfer/file-system.js';
import { localFileSystem } from '../../src/transfer/local/local.js';
import { UNKNOWN_INFO } from '../../src/transfer/memory.js';
import { mirrorTree } from '../../src/transfer/mirror/mirror.js';
import { copyTree } from '../../src/transfer/tree/copy-tree.js';
import { PackedEntries, type PackedEntry } from '../../src/wire/packed-entries.js';
import { type HostileSftp, serveHostileSftp } from '../memory/hostile-sftp.js';
import { measure, withoutProc } from '../memory/measure.js';
import { scenarios } from '../memory/scenarios.js';
import { makeFolder } from '../support/folder.js';
import { openConnection } from '../support/stream-connection.js';

const COUNT = 150_000;

async function open(t: TestContext, hostile: HostileSftp): Promise<Connection> {
  const [client, server] = duplexPair();
  server.on('error', () => {});
  serveHostileSftp(server, hostile);
  const connection = await openConnection(client);
  t.after(() => connection.close());
  return connection;
}

const files = { names: { nameLength: 12, count: COUNT } };
const none = { filter: () => false };

const calls: Readonly<Record<string, (sftp: Connection, folder: string) => Promise<number>>> = {
  listdir: async (sftp) => (await sftp.listdir('/d')).length,
  listdirAttr: async (sftp) => (await sftp.listdirAttr('/d')).length,
  walk: async (sftp) => {
    let count = 0;
    for await (const _ of sftp.walk('/d')) count += 1;
    return count;
  },
  glob: async (sftp) => (await sftp.glob('/d/*')).length,
  getR: async (sftp, folder) => (await sftp.getR('/d', folder, none)).skipped.length,
  mirror: async (sftp, folder) =>
    (await sftp.mirror('/d', folder, { direction: 'down', dryRun: true })).plan.length,
};

describe('a directory of 150,000 entries', () => {
  for (const [name, call] of Object.entries(calls)) {
    test(`X9: is no matter for ${name}`, async (t) => {
      assert.equal(await call(await open(t, files), makeFolder(t)), COUNT);
    });
  }

  test('X9: is no matter for a tree whose source gives it at once', async (t) => {
    const entries = Array.from({ length: COUNT }, (_, index) => ({
      name: Buffer.from(`${index}`),
      info: { ...UNKNOWN_INFO, type: 'file' as const },
    }));
    const list = async function* (): AsyncGenerator<readonly DirectoryEntry[]> {
      yield entries;
    };
    const source: FileSystem = { ...localFileSystem, list };
    const path = Buffer.from(makeFolder(t));
    const options = {
      window: new Window({ max: 1 }),
      symlinks: 'skip',
      recurse: true,
      atomic: false,
    } as const;
    const report = await copyTree({ fileSystem: source, path }, { fileSystem: localFileSystem, path }, {
      ...options,
      ...none,
    } as unknown as Parameters<typeof copyTree>[2]);
    assert.equal(report.skipped.length, COUNT);
  });
});

/** A directory with so many files and nothing else, on the disk or as if on a server. */
function placeWith(count: number, isLocal: boolean): Place {
  const list = async function* (): AsyncGenerator<readonly DirectoryEntry[]> {
    const info = { ...UNKNOWN_INFO, type: 'file' as const, size: 1, mtime: 1 };
    for (let start = 0; start < count; start += 10_000) {
      yield Array.from({ length: Math.min(10_000, count - start) }, (_, index) => ({
        name: Buffer.from(`${count - start - index}`.padStart(100, '0')),
        info,
      }));
    }
  };
  return { fileSystem: { ...localFileSystem, list, isLocal }, path: Buffer.from('/d') };
}

describe('a mirror of more files than fit into memory as objects', () => {
  const many = 230_000;
  for (const [name, isUp] of [
    ['down from', false],
    ['up to', true],
  ] as const) {
    test(`X9: goes ${name} a server that has ${many} files, as the other side has`, async () => {
      const { plan, kept, created } = await mirrorTree(placeWith(many, isUp), placeWith(many - 1, !isUp), {
        ...{ delete: false, dryRun: true, compare: 'size-mtime', symlinks: 'skip', hasTarget: true },
        ...{ atomic: true, preserveMtime: true, continueOnError: false },
        line: { window: new Window({ max: 1 }) },
        makeTarget: async () => {},
      });
      assert.deepEqual([plan.length, kept, created], [many, many - 1, 1]);
      assert.equal(plan[0]?.path, '1'.padStart(100, '0'));
      assert.deepEqual([plan.at(-1)?.action, plan.at(-1)?.path], ['create', `${many}`.padStart(100, '0')]);
    });
  }
});

const TYPES = ['unknown', 'file', 'directory', 'block-device'] as const;

function someEntry(index: number): PackedEntry {
  const name = Buffer.alloc(index % 7 === 0 ? index * 20 : index % 5, index % 256);
  const owner = index % 5 === 0 ? { uid: 2 ** 32 - 1, gid: index } : { uid: undefined, gid: undefined };
  const mode = index % 3 === 0 ? 0o107777 : undefined;
  const mtime = index % 3 === 0 ? undefined : index + 0.5;
  const size = index % 4 === 0 ? 2 ** 53 - 1 : undefined;
  const extended = index % 11 === 0 ? [[name, name] as const] : undefined;
  return {
    name,
    type: TYPES[index % 4] ?? 'unknown',
    attributes: { size, ...owner, mode, atime: 0, mtime, extended },
    longname: index % 6 === 0 ? Buffer.from(`-rw-r--r-- ${index}`) : undefined,
  };
}

describe('packed entries', () => {
  test('come out as they were put in, in their order', () => {
    const entries = Array.from({ length: 20_000 }, (_, index) => someEntry(index));
    const packed = new PackedEntries();
    const positions = entries.map((entry) => packed.add(entry));
    assert.deepEqual(
      positions.map((position) => packed.at(position)),
      entries,
    );
    const drained = [...packed.drain((entry) => ({ ...entry, name: Buffer.from(entry.name) }))].flat();
    assert.deepEqual(drained, entries);
  });

  test('are sorted by the bytes of their names, and equal names stay in the order in which they came', () => {
    const name = fc.uint8Array({ maxLength: 10, max: 3 });
    const names = fc.tuple(name, fc.array(name)).map(([start, ends]) => {
      return ends.map((end) => Buffer.concat([start, end]));
    });
    fc.assert(
      fc.property(names, (given) => {
        const packed = new PackedEntries();
        const positions = given.map((each) => packed.add({ name: each, type: 'file', attributes: {} }));
        const sorted = positions
          .map((position, index) => ({ position, each: given[index] ?? Buffer.alloc(0) }))
          .sort((left, right) => Buffer.compare(left.each, right.each) || left.position - right.position);
        assert.deepEqual(
          [...packed.sorted()],
          sorted.map(({ position }) => position),
        );
      }),
    );
  });
});

describe('a server that would fill the memory', { skip: withoutProc }, () => {
  for (const scenario of scenarios.filter(({ isQuick }) => isQuick)) {
    test(`X8: takes less than 256 MiB with ${scenario.attack} in ${scenario.phase}`, async (t) => {
      const { growthMib, outcome } = await measure(scenario);
      t.diagnostic(`${growthMib.toFixed(0)} MiB`);
      assert.equal(outcome, 'LIMIT');
      assert.ok(growthMib < 256, `${growthMib.toFixed(0)} MiB`);
    });
  }
});
