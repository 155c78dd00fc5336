import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Lanes } from '../../../src/session/lanes.js';
import type { SftpClient } from '../../../src/session/sftp-client.js';

/** A connection whose server lets so many further sessions be opened. */
function connection(allowed: number) {
  const opened: SftpClient[] = [];
  let asked = 0;
  const lanes = new Lanes(async () => {
    asked += 1;
    if (asked > allowed) throw new Error('open failed: no more sessions');
    const client = { number: asked } as unknown as SftpClient;
    opened.push(client);
    return client;
  });
  return { lanes, opened, asked: () => asked };
}

describe('Lanes', () => {
  test('are opened when they are taken, and kept for the next', async () => {
    const { lanes, opened, asked } = connection(10);
    assert.deepEqual(await Promise.all(lanes.take(0)), []);
    assert.deepEqual(await Promise.all(lanes.take(2)), opened);
    assert.deepEqual(await Promise.all(lanes.take(3)), opened);
    assert.deepEqual([opened.length, asked()], [3, 3]);
  });

  test('are fewer where the server allows no more, and those that it has opened stay', async () => {
    const { lanes, opened, asked } = connection(2);
    const [first, second, ...others] = await Promise.all(lanes.take(7));
    assert.deepEqual([first, second], opened);
    assert.deepEqual(
      others,
      others.map(() => undefined),
    );
    assert.deepEqual(await Promise.all(lanes.take(7)), opened);
    assert.equal(asked(), 7);
  });

  test('begin anew on a new connection, whatever becomes of those of the old one', async () => {
    const { lanes, asked } = connection(0);
    const late = lanes.take(1);
    lanes.reset();
    assert.deepEqual(await Promise.all(late), [undefined]);
    assert.deepEqual(await Promise.all(lanes.take(1)), [undefined]);
    assert.deepEqual(lanes.take(1), []);
    assert.equal(asked(), 2);
  });
});
