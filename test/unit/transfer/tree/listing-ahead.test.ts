import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SftpError } from '../../../../src/errors.js';
import { deferred } from '../../../../src/shared/promises.js';
import {
  ListingAhead,
  type ListingAheadOptions,
  WalkedDirectory,
} from '../../../../src/transfer/tree/listing-ahead.js';

const MIB = 1024 * 1024;

class Directory extends WalkedDirectory<string> {
  readonly name: string;
  readonly size: number;

  constructor(name: string, size = 0) {
    super();
    this.name = name;
    this.size = size;
  }
}

type Options = ListingAheadOptions<Directory, string>;

/** A walk that notes what is listed; a directory takes its memory as soon as it is listed. */
function walkOf(options: Partial<Options> = {}) {
  const listed: string[] = [];
  const ahead: ListingAhead<string, Directory> = new ListingAhead<string, Directory>({
    list: async (directory) => {
      listed.push(directory.name);
      ahead.charge(directory, directory.size);
      return `listing of ${directory.name}`;
    },
    maxListings: () => 2,
    maxBytes: 100 * MIB,
    tooMuch: ({ name }) => new SftpError('LIMIT', `${name} is too much`),
    ...options,
  });
  ahead.begin(undefined);
  return { ahead, listed };
}

describe('Listing ahead', () => {
  test('begins with the directory that comes next, and with no more at once than there may be', async () => {
    const listed: string[] = [];
    const running = deferred<string>();
    const list = (directory: Directory) => {
      listed.push(directory.name);
      return running.promise;
    };
    const { ahead } = walkOf({ list });
    ahead.add([new Directory('c'), new Directory('d')]);
    ahead.add([new Directory('a'), new Directory('b')]);
    ahead.lookAhead();
    assert.deepEqual(listed, ['a', 'b']);
    running.resolve('');
    await ahead.end();
    assert.deepEqual(listed, ['a', 'b']);
  });

  test('lists no directory twice to which the walk has come meanwhile, and none that it has left', async () => {
    const { ahead, listed } = walkOf();
    const [reached, left, next] = [new Directory('reached'), new Directory('left'), new Directory('next')];
    ahead.add([reached, left, next]);
    const listing = ahead.reach(reached);
    ahead.leave(left);
    ahead.lookAhead();
    assert.deepEqual([await listing, await ahead.listingOf(next)], ['listing of reached', 'listing of next']);
    await ahead.end();
    assert.deepEqual(listed, ['reached', 'next']);
  });

  test('lists a directory again that took too much ahead, when the walk comes to it', async () => {
    const { ahead, listed } = walkOf();
    const large = new Directory('large', 33 * MIB);
    ahead.add([large]);
    ahead.lookAhead();
    assert.equal(await ahead.reach(large), 'listing of large');
    assert.deepEqual([listed, large.bytes], [['large', 'large'], 33 * MIB]);
    await ahead.end();
  });

  test('pauses while half of the memory for it is taken', async () => {
    const { ahead, listed } = walkOf();
    const [first, second] = [new Directory('first', 16 * MIB), new Directory('second')];
    ahead.add([first, second]);
    await ahead.listingOf(first);
    ahead.lookAhead();
    assert.deepEqual([listed, ahead.isFull], [['first'], true]);
    await ahead.reach(first);
    ahead.lookAhead();
    assert.deepEqual([listed, ahead.isFull], [['first', 'second'], false]);
    await ahead.end();
  });

  test('limits what lies in the directories in which the walk is, not what it has left', async () => {
    const { ahead } = walkOf();
    const [first, second, third] = [60, 60, 60].map((size, at) => new Directory(`d${at}`, size * MIB));
    assert.ok(first && second && third);
    await ahead.reach(first);
    ahead.leave(first);
    assert.deepEqual([first.listing, first.bytes], [undefined, 0]);
    await ahead.reach(second);
    await assert.rejects(ahead.reach(third), { code: 'LIMIT', message: 'd2 is too much' });
    await ahead.end();
  });

  test('limits all that was listed where all of it is kept', async () => {
    const { ahead } = walkOf({ keepsAll: true });
    const [first, second] = [new Directory('first', 80 * MIB), new Directory('second', 21 * MIB)];
    await ahead.reach(first);
    ahead.leave(first);
    await assert.rejects(ahead.listingOf(second), { code: 'LIMIT', message: 'second is too much' });
    await ahead.end();
  });

  test('counts nothing of a directory that was left while it was listed', async () => {
    const running = deferred<void>();
    const list = async (directory: Directory) => {
      ahead.charge(directory, 1);
      await running.promise;
      ahead.charge(directory, 16 * MIB);
      return '';
    };
    const { ahead } = walkOf({ list });
    const directory = new Directory('left');
    ahead.add([directory]);
    ahead.lookAhead();
    ahead.leave(directory);
    running.resolve();
    await ahead.end();
    assert.deepEqual([directory.bytes, ahead.isFull], [0, false]);
  });

  test('ends only when nothing is running or being closed any more', async () => {
    const order: string[] = [];
    const list = async () => {
      await new Promise((resolve) => ahead.signal.addEventListener('abort', resolve, { once: true }));
      ahead.close(new Promise((resolve) => setImmediate(resolve)).then(() => void order.push('closed')));
      throw ahead.signal.reason;
    };
    const { ahead } = walkOf({ list });
    ahead.add([new Directory('a')]);
    ahead.lookAhead();
    await ahead.end();
    order.push('ended');
    assert.deepEqual([order, ahead.signal.aborted], [['closed', 'ended'], true]);
  });

  test('is aborted with the signal from outside, and does not begin after it', async () => {
    const controller = new AbortController();
    const ahead = new ListingAhead<string, Directory>({
      list: async () => '',
      maxListings: () => 1,
      maxBytes: 1,
      tooMuch: () => new SftpError('LIMIT', ''),
    });
    ahead.begin(controller.signal);
    controller.abort(new Error('enough'));
    assert.throws(() => ahead.signal.throwIfAborted(), { message: 'enough' });
    await ahead.end();
    assert.throws(() => ahead.begin(controller.signal), { message: 'enough' });
  });
});
