import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { FileSystem, Place, SourceFile } from '../../../../src/transfer/file-system.js';
import { MemorySource } from '../../../../src/transfer/memory.js';
import { isBeginning, samplesOf } from '../../../../src/transfer/resume/prefix-comparison.js';

const MIB = 1024 * 1024;

type Asked = (readonly [start: number, length: number])[];

/** @param asked where every read is noted */
function source(content: Buffer, asked: Asked = []): SourceFile {
  const memory = new MemorySource(content);
  return {
    info: memory.info,
    read: (offset, length) => {
      asked.push([offset, length]);
      return memory.read(offset, length);
    },
    close: () => memory.close(),
  };
}

function withHashes(
  file: SourceFile,
  content: Buffer,
  hashes: Asked,
  answer?: Uint8Array | null,
): SourceFile {
  const sha256: SourceFile['sha256'] = async (offset, length) => {
    hashes.push([offset, length]);
    if (answer === null) return undefined;
    return (
      answer ??
      createHash('sha256')
        .update(content.subarray(offset, offset + length))
        .digest()
    );
  };
  return { ...file, sha256 };
}

function placeOf(file: SourceFile | undefined): Place {
  const openSource = async () => {
    if (file === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
    return file;
  };
  return { fileSystem: { openSource } as unknown as FileSystem, path: Buffer.from('x') };
}

const options = { depth: 'hashes' } as const;

describe('samplesOf', () => {
  test('lie within the bytes, do not overlap, hold both ends, and whatever spans an eighth of the middle', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 * MIB }),
        fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 8, maxLength: 8 }),
        (bytes, numbers) => {
          let index = 0;
          const samples = [...samplesOf(bytes, () => numbers[index++ % 8] ?? 0)];
          let end = 0;
          let largestGap = 0;
          for (const { start, length } of samples) {
            assert.ok(start >= end && length > 0 && length <= 32 * 1024);
            largestGap = Math.max(largestGap, start - end);
            end = start + length;
          }
          assert.equal(end, bytes);
          assert.ok(largestGap <= bytes / 4);
          const read = samples.reduce((sum, { length }) => sum + length, 0);
          assert.ok(read === bytes || read === 768 * 1024);
          assert.ok(samples.length <= 24 + 1);
        },
      ),
    );
  });
});

describe('isBeginning', () => {
  test('compares all of what is short, and says no where it is missing or longer than the source', async () => {
    const content = Buffer.alloc(700_000, 'abc');
    const damaged = Buffer.from(content);
    damaged.writeUInt8(0, 350_000);
    assert.equal(await isBeginning(source(content), placeOf(source(content)), 700_000, options), true);
    assert.equal(await isBeginning(source(content), placeOf(source(damaged)), 700_000, options), false);
    assert.equal(await isBeginning(source(content), placeOf(undefined), 700_000, options), false);
    assert.equal(await isBeginning(source(content), placeOf(source(content)), 700_001, options), false);
  });

  test('L10: with hashes on both sides nothing is read, and every byte counts', async () => {
    const content = Buffer.alloc(9 * MIB, 'abc');
    const damaged = Buffer.from(content);
    damaged.writeUInt8(0, 5_000_000);
    for (const [other, isSame] of [
      [content, true],
      [damaged, false],
    ] as const) {
      const reads: Asked = [];
      const hashes: Asked = [];
      const ours = withHashes(source(content, reads), content, []);
      const theirs = withHashes(source(other, reads), other, hashes);
      assert.equal(await isBeginning(ours, placeOf(theirs), 9 * MIB - 5, options), isSame);
      assert.deepEqual(reads, []);
      const blocks = [
        [0, 4 * MIB],
        [4 * MIB, 4 * MIB],
        [8 * MIB, MIB - 5],
      ];
      assert.deepEqual(hashes, blocks);
    }
  });

  test('after a difference no more hashes are asked', async () => {
    const content = Buffer.alloc(40 * MIB);
    const damaged = Buffer.from(content);
    damaged.writeUInt8(1, 0);
    const hashes: Asked = [];
    const ours = withHashes(source(content), content, []);
    const theirs = withHashes(source(damaged), damaged, hashes);
    assert.equal(await isBeginning(ours, placeOf(theirs), content.length, options), false);
    assert.ok(hashes.length <= 8, `${hashes.length} of 10 blocks`);
  });

  test('no block is shorter than servers take', async () => {
    const content = Buffer.alloc(4 * MIB + 10, 'abc');
    const hashes: Asked = [];
    const file = withHashes(source(content), content, hashes);
    assert.equal(await isBeginning(source(content), placeOf(file), content.length, options), true);
    assert.deepEqual(hashes, []);
    const ours = withHashes(source(content), content, []);
    assert.equal(await isBeginning(ours, placeOf(file), content.length, options), true);
    assert.deepEqual(hashes, [[0, content.length]]);
  });

  test('a server that fails to tell is not believed either way: samples are read', async () => {
    const content = Buffer.alloc(2 * MIB, 'abc');
    const reads: Asked = [];
    const ours = withHashes(source(content), content, []);
    const theirs = withHashes(source(content, reads), content, [], null);
    assert.equal(await isBeginning(ours, placeOf(theirs), content.length, options), true);
    assert.ok(reads.length > 0);
  });

  test('an abort ends it with the reason', async () => {
    const content = Buffer.alloc(40 * MIB);
    const abort = new AbortController();
    const file = source(content);
    const slow: SourceFile = {
      ...file,
      sha256: async () => {
        abort.abort(new Error('enough'));
        return Buffer.alloc(32);
      },
    };
    const comparing = isBeginning(slow, placeOf(slow), content.length, { ...options, signal: abort.signal });
    await assert.rejects(comparing, /enough/);
  });
});
