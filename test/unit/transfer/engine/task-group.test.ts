import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TaskGroup } from '../../../../src/transfer/engine/task-group.js';

describe('TaskGroup', () => {
  test('settles when all tasks are done, those that tasks have added too', async () => {
    const group = new TaskGroup();
    const done: string[] = [];
    const nested = async (depth: number): Promise<void> => {
      await new Promise(setImmediate);
      done.push(`${depth}`);
      if (depth < 3) group.add(nested(depth + 1));
    };
    group.add(nested(0));
    await group.settle();
    assert.deepEqual(done, ['0', '1', '2', '3']);
  });

  test('settles at once when there is nothing to do', async () => {
    await new TaskGroup().settle();
  });

  test('the first failure aborts the rest and is what settle rejects with, after everything has ended', async () => {
    const group = new TaskGroup();
    let hasEnded = false;
    const slow = async () => {
      await new Promise((resolve) => group.signal.addEventListener('abort', resolve, { once: true }));
      await new Promise(setImmediate);
      hasEnded = true;
      throw new Error('a consequence');
    };
    group.add(slow());
    group.add(Promise.reject(new Error('the cause')));
    await assert.rejects(group.settle(), { message: 'the cause' });
    assert.equal(hasEnded, true);
  });

  test('an abort from outside is its failure; one from before too', async () => {
    const abort = new AbortController();
    const group = new TaskGroup(abort.signal);
    group.add(new Promise((_, reject) => group.signal.addEventListener('abort', () => reject(new Error()))));
    abort.abort('enough');
    assert.equal(await group.settle().catch((reason) => reason), 'enough');
    assert.equal(await new TaskGroup(abort.signal).settle().catch((reason) => reason), 'enough');
  });

  test('an abort from outside after the end changes nothing', async () => {
    const abort = new AbortController();
    const group = new TaskGroup(abort.signal);
    group.add(Promise.resolve());
    await group.settle();
    abort.abort('late');
    assert.equal(group.signal.aborted, false);
  });

  test('a failure is not an unhandled rejection before anybody settles', async () => {
    const group = new TaskGroup();
    group.add(Promise.reject(new Error('early')));
    await new Promise(setImmediate);
    await assert.rejects(group.settle(), { message: 'early' });
  });
});
