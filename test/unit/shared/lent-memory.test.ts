import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { copyOf, ReceiveMemory, release, retain } from '../../../src/shared/lent-memory.js';

/** Puts text where the next read goes. */
function receive(memory: ReceiveMemory, text: string): Buffer {
  memory.room().write(text, 'latin1');
  return memory.take(text.length) as Buffer;
}

describe('memory that is lent', () => {
  test('is read into again as long as nothing of it is retained', () => {
    const memory = new ReceiveMemory();
    const first = receive(memory, 'first');
    const second = receive(memory, 'again');
    assert.equal(first.buffer, second.buffer);
    assert.equal(first.byteOffset, second.byteOffset);
    memory.end();
  });

  test('stays as it is where a piece is retained, and the next read goes behind it', () => {
    const memory = new ReceiveMemory();
    const first = receive(memory, 'first');
    retain(first.subarray(1, 3));
    const second = receive(memory, 'second');
    assert.equal(first.toString(), 'first');
    assert.equal(second.byteOffset, first.byteOffset + 5);
    memory.end();
  });

  test('is free again when each of its pieces has been released', () => {
    const memory = new ReceiveMemory();
    const chunk = receive(memory, 'two pieces');
    const pieces = [chunk.subarray(0, 3), chunk.subarray(4)];
    for (const piece of pieces) retain(piece);
    release(pieces.slice(0, 1));
    assert.notEqual(memory.room().byteOffset, chunk.byteOffset);
    release(pieces.slice(1));
    assert.equal(memory.room().byteOffset, chunk.byteOffset);
    memory.end();
  });

  test('goes on in another slab where there is little room, and comes back to the first', () => {
    const memory = new ReceiveMemory();
    const whole = retain(memory.take(memory.room().length - 1));
    const next = receive(memory, 'next');
    assert.notEqual(next.buffer, whole.buffer);
    release([whole]);
    const other = new ReceiveMemory();
    assert.equal(other.room().buffer, whole.buffer);
    memory.end();
    other.end();
  });

  test('is not given to another while something reads into it', () => {
    const memory = new ReceiveMemory();
    const chunk = receive(memory, 'x');
    retain(chunk);
    release([chunk]);
    const other = new ReceiveMemory();
    assert.notEqual(other.room().buffer, memory.room().buffer);
    memory.end();
    other.end();
  });

  test('cannot be kept as it is, as the compiler sees it; a copy can', () => {
    const memory = new ReceiveMemory();
    memory.room().write('first');
    const lent = memory.take(5);
    const kept: Buffer[] = [copyOf(lent)];
    // @ts-expect-error It has to be retained or copied first.
    kept.push(lent);
    memory.room().write('again');
    assert.deepEqual(kept.map(String), ['first', 'again']);
    memory.end();
  });

  test('that is nobody’s to lend is left alone', () => {
    const own = Buffer.from('own');
    retain(own);
    release([own]);
    release([own]);
    assert.equal(own.toString(), 'own');
  });
});
