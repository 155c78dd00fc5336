/** Looking at files, and changing what is told of them. */
import type { Buffer } from 'node:buffer';
import { type BigIntStats, constants, type Stats } from 'node:fs';
import { failure } from '../../session/status-error.js';
import type { AttributeValues, FileAttributes } from '../../wire/attributes.js';
import {
  type GivenPath,
  givenInteger,
  givenMode,
  givenOptions,
  givenOwner,
  givenPath,
  givenTime,
} from '../base/arguments.js';
import { bigIntStatsOf, statsOf } from '../base/stats.js';
import { isMissing, REPEATABLE, type View } from '../base/view.js';

const CHANGE = { repeatable: true, changes: true } as const;
const { F_OK, R_OK, W_OK, X_OK } = constants;

/** The bits of all three triples that one asks for. */
const ANYBODY: readonly (readonly [asked: number, bits: number])[] = [
  [R_OK, 0o444],
  [W_OK, 0o222],
  [X_OK, 0o111],
];

export function attributeCalls(view: View) {
  const look =
    (syscall: 'stat' | 'lstat') =>
    (path: unknown, options?: unknown): Promise<Stats | BigIntStats | undefined> => {
      const given = givenPath(path);
      // As in Node, what is no object is passed over: some programs give `true`.
      const { bigint, throwIfNoEntry } = givenOptions(typeof options === 'object' ? options : undefined);
      const make = bigint === true ? bigIntStatsOf : statsOf;
      return view.look(given, syscall).then(
        (attributes) => make(attributes, view.keyOf(given)),
        (error: unknown) => {
          if (throwIfNoEntry === false && isMissing(error)) return undefined;
          throw error;
        },
      );
    };

  /** One of the calls that change attributes by path. */
  const set = (
    syscall: string,
    path: unknown,
    follows: boolean,
    change: () => Promise<AttributeValues> | AttributeValues,
  ) => {
    const given = givenPath(path);
    return view.call(
      { syscall, path: given.text },
      async () => {
        const resolved = await view.resolve(given, { follows });
        await setAttributes(view, resolved, await change(), { follows });
      },
      CHANGE,
    );
  };

  const changeOwner = (syscall: 'chown' | 'lchown', path: unknown, uid: unknown, gid: unknown) => {
    const given = givenPath(path);
    const owner = { uid: givenOwner(uid, 'uid'), gid: givenOwner(gid, 'gid') };
    const isWhole = owner.uid !== undefined && owner.gid !== undefined;
    return set(syscall, path, syscall === 'chown', async () => {
      const kept = isWhole ? undefined : await view.attributes(given, syscall === 'chown' ? 'stat' : 'lstat');
      return { uid: owner.uid ?? kept?.uid, gid: owner.gid ?? kept?.gid };
    });
  };

  const changeTimes = (syscall: 'utime' | 'lutime', path: unknown, atime: unknown, mtime: unknown) => {
    const times = { atime: givenTime(atime, 'atime'), mtime: givenTime(mtime, 'mtime') };
    return set(syscall, path, syscall === 'utime', () => times);
  };

  return {
    stat: look('stat'),
    lstat: look('lstat'),
    access: (path: unknown, mode?: unknown): Promise<void> => {
      const given = givenPath(path);
      const asked = givenInteger(mode ?? F_OK, 'mode', 0, R_OK | W_OK | X_OK);
      return view.call(
        { syscall: 'access', path: given.text },
        async () => checkAccess(given, await view.attributes(given, 'stat'), asked),
        REPEATABLE,
      );
    },
    chmod: (path: unknown, mode: unknown): Promise<void> => {
      const bits = givenMode(mode);
      return set('chmod', path, true, () => ({ mode: bits }));
    },
    chown: (path: unknown, uid: unknown, gid: unknown) => changeOwner('chown', path, uid, gid),
    lchown: (path: unknown, uid: unknown, gid: unknown) => changeOwner('lchown', path, uid, gid),
    utimes: (path: unknown, atime: unknown, mtime: unknown) => changeTimes('utime', path, atime, mtime),
    lutimes: (path: unknown, atime: unknown, mtime: unknown) => changeTimes('lutime', path, atime, mtime),
    /** Linux has no such call, and neither has SFTP. */
    lchmod: (path: unknown, _mode: unknown): Promise<void> => {
      const { text, bytes } = givenPath(path);
      return view.call({ syscall: 'lchmod', path: text }, async () => {
        throw failure('ENOTSUP', 'lchmod', bytes, 'modes of links cannot be changed');
      });
    },
    truncate: (path: unknown, length?: unknown): Promise<void> => {
      const given = givenPath(path);
      const size = Math.max(0, givenInteger(length ?? 0, 'len', Number.MIN_SAFE_INTEGER));
      return view.call(
        { syscall: 'open', path: given.text },
        async () => {
          const resolved = await view.resolve(given, { follows: true });
          await view.explained(view.client.setstat(resolved, { size }), 'truncate', resolved);
        },
        CHANGE,
      );
    },
    statfs: (path: unknown, options?: unknown) => {
      const given = givenPath(path);
      const { bigint } = givenOptions(options);
      return view.call(
        { syscall: 'statfs', path: given.text },
        async () => {
          const resolved = await view.resolve(given, { follows: true });
          const told = await view.explained(view.client.statvfs(resolved), 'stat', resolved);
          const { fragmentSize, blocks, freeBlocks, availableBlocks, files, freeFiles } = told;
          const counts = {
            // SFTP does not tell which kind of file system it is.
            type: 0n,
            bsize: fragmentSize,
            blocks,
            bfree: freeBlocks,
            bavail: availableBlocks,
            files,
            ffree: freeFiles,
          };
          if (bigint === true) return counts;
          return Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, Number(value)]));
        },
        REPEATABLE,
      );
    },
  };
}

/** By the mode alone: SFTP does not tell whether one is the owner. */
function checkAccess({ bytes }: GivenPath, { mode }: FileAttributes, asked: number): void {
  if (mode === undefined) return;
  const missing = ANYBODY.find(([bit, bits]) => (asked & bit) !== 0 && (mode & bits) === 0);
  if (missing !== undefined) throw failure('EACCES', 'access', bytes, 'nobody has that permission');
}

async function setAttributes(
  view: View,
  path: Buffer,
  attributes: AttributeValues,
  { follows }: { readonly follows: boolean },
): Promise<void> {
  const { client } = view;
  if (follows) return view.explained(client.setstat(path, attributes), 'setstat', path);
  if (client.supports('lsetstat')) return view.explained(client.lsetstat(path, attributes), 'setstat', path);
  // What is no link can be changed on every server.
  const { type } = await view.ask(path, 'lstat');
  if (type === 'symlink')
    throw failure('ENOTSUP', 'lsetstat', path, 'the server cannot change a link itself');
  await view.explained(client.setstat(path, attributes), 'setstat', path);
}
