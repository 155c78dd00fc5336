/** What a mirror tells of one path: what lies there, what is done to it, and why. */
import { type PathKey, pathKey } from '../../shared/remote-path.js';
import type { FileType } from '../../wire/attributes.js';

/** Something that lies on one of the two sides of a mirror. */
export interface MirrorEntry {
  /** Below the mirrored directory, with `/` on every system. */
  readonly path: string;
  readonly type: FileType;
  /** Bytes; `undefined` where nobody tells. */
  readonly size: number | undefined;
  /** Last modification, seconds since 1970. */
  readonly mtime: number | undefined;
}

/** Why a mirror does what it does to a path, or leaves it alone. */
export type MirrorReason =
  /** The target has nothing there: `create`. */
  | 'missing'
  /** It differs in size, in time, in content, in where a link leads, or in the view of your function: `update`. */
  | 'size'
  | 'mtime'
  | 'content'
  | 'link'
  | 'custom'
  /** The sizes agree and the times do not, as the server lets no times be set: `keep`. */
  | 'times-refused'
  /** The permissions differ, and nothing else does: `update`, without copying anything. Only with `preserveMode`. */
  | 'mode'
  /** It is the same: `keep`. */
  | 'same'
  /** The source has nothing there: `delete`, or `keep` where nothing may be deleted. */
  | 'extra'
  /** The two sides differ in type: `delete` and `create`, or `skip` where nothing may be deleted. */
  | 'type'
  /** What is below may not be touched, so that the directory stays: `keep`. */
  | 'not-empty'
  /** Left out of the source, and whatever the target has there stays: `skip`. */
  | 'special-file'
  | 'symlink'
  | 'broken-link'
  | 'outside-link'
  | 'loop'
  /** A name that would lead elsewhere, or that stands twice in one directory: `skip`. */
  | 'unsafe-name'
  /** A directory that cannot be listed on one of the sides, where the mirror goes on in spite of it: `skip`. */
  | 'unreadable';

/** One thing that a mirror does, or leaves undone. There may be a million: most fields are getters, which `toJSON` lists. */
export interface MirrorStep {
  readonly action: 'create' | 'update' | 'delete' | 'keep' | 'skip';
  /** Below the mirrored directory, with `/` on every system. */
  readonly path: string;
  /** The same as bytes, for names that are not UTF-8. In JSON a string with one character per byte (latin1). */
  readonly pathBytes: Uint8Array;
  /** Of what is created, updated, deleted, kept or skipped. */
  readonly type: FileType;
  readonly reason: MirrorReason;
  /** What it copies, as far as the listing tells; 0 for all but files that are created or updated. */
  readonly bytes: number;
  /** With `preserveMode`: the permissions that a file or a directory has afterwards. */
  readonly mode?: number | undefined;
}

/** Whether a step makes something, or makes it anew. */
export function isCopied({ action, reason }: Pick<MirrorStep, 'action' | 'reason'>): boolean {
  return action === 'create' || (action === 'update' && reason !== 'mode');
}

export function keyOf({ pathBytes }: MirrorStep): PathKey {
  return pathKey(pathBytes);
}
