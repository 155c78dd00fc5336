/** The figures of `df`. */
import type { ExtensionData } from '../wire/extensions.js';

/**
 * A file system on the server, in the figures that `df` prints. Sizes are bytes; from 2⁵³ on (9 PB) the figures
 * are rounded, and `raw` has them exactly.
 */
export interface FileSystemStatistics {
  /** The whole. */
  readonly size: number;
  readonly used: number;
  /** What is free, the part reserved for the administrator included. */
  readonly free: number;
  /** What is free for you. */
  readonly available: number;
  /** Used of what you may use, in percent, rounded up. */
  readonly usedPercent: number;
  /** How many files there can be, and how many more. */
  readonly files: number;
  readonly usedFiles: number;
  readonly freeFiles: number;
  readonly isReadOnly: boolean;
  readonly maxNameLength: number;
  /** What the server said, counted in blocks of `fragmentSize` (statvfs(3)). */
  readonly raw: ExtensionData<'statvfs'>;
}

/** OpenSSH's PROTOCOL, section 4.4 */
const READ_ONLY = 1n;

export function describeFileSystem(raw: ExtensionData<'statvfs'>): FileSystemStatistics {
  const bytes = (blocks: bigint) => Number(blocks * raw.fragmentSize);
  const usedBlocks = raw.blocks - raw.freeBlocks;
  return {
    size: bytes(raw.blocks),
    used: bytes(usedBlocks),
    free: bytes(raw.freeBlocks),
    available: bytes(raw.availableBlocks),
    usedPercent: percent(usedBlocks, usedBlocks + raw.availableBlocks),
    files: Number(raw.files),
    usedFiles: Number(raw.files - raw.freeFiles),
    freeFiles: Number(raw.availableFiles),
    isReadOnly: (raw.flags & READ_ONLY) !== 0n,
    maxNameLength: Number(raw.maxNameLength),
    raw,
  };
}

function percent(part: bigint, whole: bigint): number {
  return whole <= 0n ? 0 : Number((part * 100n + whole - 1n) / whole);
}
