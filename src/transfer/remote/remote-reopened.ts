/** A file that is on a server already, open for reading and for writing. */
import type { Buffer } from 'node:buffer';
import type { Lanes } from '../../session/lanes.js';
import type { RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import type { Spread } from '../../session/spread.js';
import { unlessRefused } from '../../session/status-error.js';
import type { FileInfo, OpenTargetOptions, ReopenedFile, SourceFile, TargetFile } from '../file-system.js';
import { spreadFor } from './file-lanes.js';
import { RemoteSource } from './remote-source.js';
import { proceeding, RemoteTarget } from './remote-target.js';

export interface RemoteReopenedOptions {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  readonly info: FileInfo;
  readonly lanes: Lanes | undefined;
  readonly spread?: Spread | undefined;
  readonly lstat: (path: Buffer) => Promise<FileInfo>;
}

export class RemoteReopened implements ReopenedFile {
  readonly info: FileInfo;
  /** SFTP 3 has no field for it. */
  readonly links = undefined;
  readonly content: SourceFile;
  readonly #options: RemoteReopenedOptions;
  #isTaken = false;

  constructor(options: RemoteReopenedOptions) {
    const { client, handle, info } = options;
    this.#options = options;
    this.info = info;
    this.content = new RemoteSource(client, handle, info);
  }

  /** As far as SFTP tells: it has no numbers of files. */
  async isAt(path: Buffer): Promise<boolean> {
    return isSame(this.info, await this.#options.lstat(path));
  }

  async writeFrom(path: Buffer, bytes: number, options: OpenTargetOptions): Promise<TargetFile> {
    const { client, handle, lanes, spread } = this.#options;
    const { size, channels, signal } = options;
    // What cannot be cut off is written over, as far as the source goes.
    if (this.info.size !== bytes) {
      await unlessRefused(client.fsetstat(handle, { size: bytes }, proceeding({ signal })));
    }
    this.#isTaken = true;
    const spreads = spreadFor(spread, size === undefined ? undefined : size - bytes);
    return new RemoteTarget({ client, handle, path, size, channels, lanes, spread: spreads });
  }

  async close(): Promise<void> {
    if (this.#isTaken) return;
    this.#isTaken = true;
    await this.#options.client.close(this.#options.handle);
  }
}

/** Whether two looks were at one regular file, as far as that can be told. */
export function isSame(one: FileInfo, other: FileInfo): boolean {
  return (
    other.type === 'file' && one.size === other.size && one.mtime === other.mtime && one.uid === other.uid
  );
}
