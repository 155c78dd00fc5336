/** What can be done with an open file. The callback functions and file handles do the same with it. */
import { Buffer } from 'node:buffer';
import type { BigIntStats, Stats } from 'node:fs';
import { givenInteger, givenMode, givenOptions, givenOwner, givenTime } from '../base/arguments.js';
import { bigIntStatsOf, statsOf } from '../base/stats.js';
import type { CallRules, View } from '../base/view.js';
import { type ReadSettings, readAll, type WriteSettings, wholeContent, writeAll } from './contents.js';
import type { Descriptor } from './descriptors.js';
import { readArguments, vectorArguments, writeArguments } from './read-write-arguments.js';

const CHANGES: CallRules = { changes: true };

export class DescriptorCalls {
  readonly #view: View;

  constructor(view: View) {
    this.#view = view;
  }

  async read({ file }: Descriptor, args: readonly unknown[]) {
    const { buffer, target, position } = readArguments(args);
    const reading = () => file.read(target, position);
    return { bytesRead: await this.#view.call({ syscall: 'read' }, reading), buffer };
  }

  async readv({ file }: Descriptor, given: unknown, at: unknown) {
    const { buffers, position } = vectorArguments(given, at);
    const all = Buffer.alloc(buffers.reduce((sum, each) => sum + each.length, 0));
    const bytesRead = await this.#view.call({ syscall: 'read' }, () => file.read(all, position));
    let from = 0;
    for (const each of buffers)
      from += all.subarray(from, Math.min(from + each.length, bytesRead)).copy(each);
    return { bytesRead, buffers: given };
  }

  async write({ file }: Descriptor, args: readonly unknown[]) {
    const { data, bytes, position } = writeArguments(args);
    const writing = () => file.write([bytes], position);
    return { bytesWritten: await this.#view.call({ syscall: 'write' }, writing, CHANGES), buffer: data };
  }

  async writev({ file }: Descriptor, given: unknown, at: unknown) {
    const { buffers, position } = vectorArguments(given, at);
    const writing = () => file.write(buffers, position);
    return { bytesWritten: await this.#view.call({ syscall: 'write' }, writing, CHANGES), buffers: given };
  }

  async stat({ file }: Descriptor, options: unknown): Promise<Stats | BigIntStats> {
    const { bigint } = givenOptions(options);
    const attributes = await this.#view.call({ syscall: 'fstat' }, () => file.stat());
    return bigint === true ? bigIntStatsOf(attributes, file.key) : statsOf(attributes, file.key);
  }

  async chmod({ file }: Descriptor, mode: unknown): Promise<void> {
    const attributes = { mode: givenMode(mode) };
    await this.#view.call({ syscall: 'fchmod' }, () => file.set(attributes), CHANGES);
  }

  async chown({ file }: Descriptor, uid: unknown, gid: unknown): Promise<void> {
    const given = { uid: givenOwner(uid, 'uid'), gid: givenOwner(gid, 'gid') };
    const changing = async () => {
      const isWhole = given.uid !== undefined && given.gid !== undefined;
      const kept = isWhole ? undefined : await file.stat();
      await file.set({ uid: given.uid ?? kept?.uid, gid: given.gid ?? kept?.gid });
    };
    await this.#view.call({ syscall: 'fchown' }, changing, CHANGES);
  }

  async utimes({ file }: Descriptor, atime: unknown, mtime: unknown): Promise<void> {
    const times = { atime: givenTime(atime, 'atime'), mtime: givenTime(mtime, 'mtime') };
    await this.#view.call({ syscall: 'futime' }, () => file.set(times), CHANGES);
  }

  async truncate({ file }: Descriptor, length: unknown): Promise<void> {
    const size = Math.max(0, givenInteger(length ?? 0, 'len', Number.MIN_SAFE_INTEGER));
    await this.#view.call({ syscall: 'ftruncate' }, () => file.truncate(size), CHANGES);
  }

  async sync({ file }: Descriptor, syscall: 'fsync' | 'fdatasync'): Promise<void> {
    await this.#view.call({ syscall }, () => file.sync());
  }

  async readFile({ file }: Descriptor, settings: ReadSettings): Promise<string | Buffer> {
    const { signal } = settings;
    return this.#view.call({ syscall: 'read' }, () => readAll(file, settings), { signal });
  }

  async writeFile({ file }: Descriptor, data: unknown, settings: WriteSettings): Promise<void> {
    const content = wholeContent(data, settings);
    const { signal } = settings;
    const writing = () => writeAll(file, content, settings);
    await this.#view.call({ syscall: 'write' }, writing, { ...CHANGES, signal });
  }
}
