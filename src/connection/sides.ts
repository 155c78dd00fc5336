/** Both sides of a mirror; for `tsftp/jobs` also the steps one after the other, and one file at a time. */
import { Buffer } from 'node:buffer';
import { mkdir } from 'node:fs/promises';
import { failure } from '../session/status-error.js';
import { asTextPath, checkLocalPath } from '../shared/local-path.js';
import { quote } from '../shared/remote-path.js';
import { type Place, unlessCode } from '../transfer/file-system.js';
import { checkLinks } from '../transfer/local/foreign-links.js';
import { localFileSystem } from '../transfer/local/local.js';
import { LocalTree } from '../transfer/local/local-tree.js';
import { walkBoth } from '../transfer/mirror/mirror.js';
import type { MirrorComparison } from '../transfer/mirror/mirror-comparison.js';
import type { MirrorEntry } from '../transfer/mirror/mirror-step.js';
import type { MirrorWalk } from '../transfer/mirror/mirror-walk.js';
import type { EntryFilter } from '../transfer/tree/entry-filter.js';
import { makeDirectories } from './directories.js';
import type { Link } from './reconnect/link.js';
import type { FileStepOptions } from './transfer-options.js';
import type { Transfers } from './transfers.js';

export interface SidesOptions {
  readonly direction: 'up' | 'down';
  readonly localPath: string;
  /** As it is sent. */
  readonly remotePath: Buffer;
  /** Links of a local source are followed, wherever they lead. */
  readonly followsLinks: boolean;
}

export interface WalkSidesOptions {
  readonly delete: boolean;
  readonly compare: MirrorComparison | undefined;
  readonly symlinks: 'follow' | 'copy' | 'skip';
  readonly preserveMtime: boolean;
  readonly filter?: EntryFilter<MirrorEntry> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Sides implements Disposable {
  readonly source: Place;
  readonly target: Place;
  readonly #link: Link;
  readonly #transfers: Transfers;
  readonly #tree: LocalTree | undefined;
  readonly #isUp: boolean;

  constructor(
    { link, transfers }: { readonly link: Link; readonly transfers: Transfers },
    { direction, localPath, remotePath, followsLinks }: SidesOptions,
  ) {
    this.#link = link;
    this.#transfers = transfers;
    this.#isUp = direction === 'up';
    const path = Buffer.from(checkLocalPath(localPath));
    checkLinks(localPath, { purpose: 'read' });
    // Where links are followed, they lead wherever they lead.
    this.#tree = this.#isUp && followsLinks ? undefined : new LocalTree(path);
    const local: Place = { fileSystem: this.#tree ?? localFileSystem, path };
    const remote: Place = { fileSystem: transfers.remote, path: remotePath };
    [this.source, this.target] = this.#isUp ? [local, remote] : [remote, local];
  }

  /** The key that the server has proved to hold. */
  get fingerprint(): string {
    return this.#link.ssh.remoteServerKey.fingerprint;
  }

  /** @throws SftpStatusError or Node's own error where the source is not a directory */
  async walk(options: WalkSidesOptions): Promise<MirrorWalk> {
    const hasTarget = await this.look(options.signal);
    const line = this.#transfers.lineUse({});
    return walkBoth(this.source, this.target, { ...options, line, hasTarget, dryRun: true });
  }

  /** Whether the target is there; errors as {@link walk}. */
  async look(signal: AbortSignal | undefined): Promise<boolean> {
    await checkDirectory(this.source, signal);
    const looking = checkDirectory(this.target, signal).then(() => true);
    return (await unlessCode(looking, 'ENOENT')) ?? false;
  }

  async makeTarget(signal: AbortSignal | undefined): Promise<void> {
    if (this.#isUp) await makeDirectories(this.#transfers.client, this.target.path, undefined, { signal });
    else await mkdir(asTextPath(this.target.path), { recursive: true });
  }

  /** Copies one file, resuming what the same owner has left, and gives it its name at the very end. */
  copy(from: Buffer, to: Buffer, options: FileStepOptions): Promise<void> {
    const source = { ...this.source, path: from };
    const target = { ...this.target, path: to };
    return this.#transfers.copyStep(source, target, options);
  }

  /** Removes what an owner has left of a file that is complete by now. */
  discard(to: Buffer, owner: string, signal: AbortSignal | undefined): Promise<void> {
    return this.#transfers.discardStep({ ...this.target, path: to }, owner, signal);
  }

  [Symbol.dispose](): void {
    this.#tree?.close();
  }
}

async function checkDirectory({ fileSystem, path }: Place, signal: AbortSignal | undefined): Promise<void> {
  const { type } = await fileSystem.stat(path, { signal });
  if (type === 'directory' || type === 'unknown') return;
  if (!fileSystem.isLocal) throw failure('ENOTDIR', 'mirror', path, 'it is not a directory');
  const text = `ENOTDIR: not a directory, mirror ${quote(path)}`;
  throw Object.assign(new Error(text), { code: 'ENOTDIR', syscall: 'mirror', path: path.toString() });
}
