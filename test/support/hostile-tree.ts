/**
 * A server that shows names and files as no file system has them: names with separators, a name twice, modes and
 * sizes that lie, trees without end. It is the embedded server over a backend of a few lines, on a pair of streams.
 */
import { Buffer } from 'node:buffer';
import { duplexPair } from 'node:stream';
import type { TestContext } from 'node:test';
import type { Connection } from '../../src/index.js';
import { type Backend, systemError } from '../../src/testing/backends/backend.js';
import { createCounters } from '../../src/testing/counters.js';
import { serveSftp } from '../../src/testing/sftp/sftp-service.js';
import { type AttributeValues, type FileType, typeBits } from '../../src/wire/attributes.js';
import { openConnection } from './stream-connection.js';

export interface HostileEntry {
  readonly name: string | Uint8Array;
  readonly type?: FileType;
  readonly mode?: number;
  readonly size?: number;
  readonly content?: string;
  /** Of a directory; a function is asked each time, for trees without end. */
  readonly entries?: readonly HostileEntry[] | (() => readonly HostileEntry[]);
  /** What STAT says of a link: another entry. */
  readonly target?: Omit<HostileEntry, 'name'>;
}

type Node = Omit<HostileEntry, 'name'>;

export interface HostileTree {
  readonly connection: Connection;
  /** Every path that was asked for, as `operation path`. */
  readonly asked: string[];
}

/** Connects to a server that shows `entries` in `/`. */
export async function openHostileTree(
  t: TestContext,
  entries: HostileEntry['entries'],
  { realpath }: { readonly realpath?: string } = {},
): Promise<HostileTree> {
  const asked: string[] = [];
  const [client, server] = duplexPair();
  const ended = new AbortController();
  serveSftp(server, {
    backend: backendOf({ type: 'directory', entries: entries ?? [] }, asked, realpath),
    home: '/',
    username: 'me',
    extensions: [],
    faults: {},
    counters: createCounters(),
    disconnect: () => server.destroy(),
    signal: ended.signal,
  });
  const connection = await openConnection(client);
  t.after(() => connection.close());
  return { connection, asked };
}

function backendOf(root: Node, asked: string[], realpath: string | undefined): Backend {
  const note = (operation: string, path: Uint8Array) => {
    const text = Buffer.from(path).toString('latin1');
    asked.push(`${operation} ${text}`);
    return text;
  };
  const find = (operation: string, path: Uint8Array): Node => {
    const text = note(operation, path);
    let node: Node = root;
    for (const name of text.split('/').filter(Boolean)) {
      const found = childrenOf(node).findLast((entry) => latin1(entry.name) === name);
      if (found === undefined) throw systemError('ENOENT');
      node = found;
    }
    return node;
  };
  const refuse = () => {
    throw systemError('EACCES');
  };
  return {
    open: (path) => {
      const node = find('open', path);
      const content = Buffer.from(node.content ?? '');
      return {
        read: (offset, length) => content.subarray(offset, offset + length),
        write: refuse,
        stat: () => attributesOf(node),
        setstat: refuse,
        sync: async () => {},
        statvfs: refuse,
        close: () => {},
      };
    },
    openDirectory: (path) => {
      const left = childrenOf(find('opendir', path)).map((entry) => ({
        name: Buffer.from(entry.name),
        attributes: attributesOf(entry),
      }));
      return { read: (count) => left.splice(0, count) };
    },
    stat: (path) => {
      const node = find('stat', path);
      return attributesOf(node.target ?? node);
    },
    lstat: (path) => attributesOf(find('lstat', path)),
    realpath: (path) => {
      const text = note('realpath', path);
      return Buffer.from(realpath ?? text);
    },
    readlink: refuse,
    setstat: refuse,
    lsetstat: refuse,
    remove: refuse,
    makeDirectory: refuse,
    removeDirectory: refuse,
    rename: refuse,
    replace: refuse,
    symlink: refuse,
    link: refuse,
    statvfs: refuse,
  };
}

function childrenOf({ entries, target }: Node): readonly HostileEntry[] {
  const all = entries ?? target?.entries ?? [];
  return typeof all === 'function' ? all() : all;
}

function attributesOf({ type, mode = 0o644, size, content = '', entries }: Node): AttributeValues {
  const kind = type ?? (entries === undefined ? 'file' : 'directory');
  return { size: size ?? Buffer.byteLength(content), mode: typeBits(kind) | mode };
}

function latin1(name: string | Uint8Array): string {
  return Buffer.from(name).toString('latin1');
}
