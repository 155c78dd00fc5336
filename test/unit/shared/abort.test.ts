import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { onAbort, untilAborted } from '../../../src/shared/abort.js';

describe('onAbort', () => {
  test('tells the reason once, and nothing once it is called off', () => {
    const abort = new AbortController();
    const heard: unknown[] = [];
    onAbort(abort.signal, (reason) => heard.push(reason));
    const callOff = onAbort(abort.signal, () => heard.push('never'));
    callOff();
    abort.abort('enough');
    abort.abort('again');
    assert.deepEqual(heard, ['enough']);
  });

  test('without a signal there is nothing to call off', () => {
    onAbort(undefined, () => assert.fail())();
  });

  test('a signal has one listener, however many wait for it', () => {
    const { signal } = new AbortController();
    const callOffs = [1, 2, 3].map(() => onAbort(signal, () => {}));
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    for (const callOff of callOffs) callOff();
  });

  test('a signal may stop a thousand calls without a warning', async (t) => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on('warning', note);
    t.after(() => process.off('warning', note));
    const abort = new AbortController();
    for (let call = 0; call < 1000; call += 1) onAbort(abort.signal, () => {});
    await new Promise(setImmediate);
    assert.deepEqual(warnings, []);
  });
});

describe('untilAborted', () => {
  test('settles as the task does', async () => {
    const { signal } = new AbortController();
    assert.equal(await untilAborted(Promise.resolve(1), signal), 1);
    await assert.rejects(untilAborted(Promise.reject(new Error('no')), signal), { message: 'no' });
    assert.equal(await untilAborted(Promise.resolve(2), undefined), 2);
  });

  test('rejects with the reason of the signal, before or during the task', async () => {
    const abort = new AbortController();
    const waiting = untilAborted(new Promise(() => {}), abort.signal);
    abort.abort('enough');
    assert.equal(await waiting.catch((reason) => reason), 'enough');
    const later = untilAborted(new Promise(() => {}), abort.signal);
    assert.equal(await later.catch((reason) => reason), 'enough');
  });

  test('the failure of a task that nobody waits for is no unhandled rejection', async () => {
    const task = new Promise<never>((_, reject) => setImmediate(() => reject(new Error('late'))));
    const aborted = untilAborted(task, AbortSignal.abort('enough'));
    assert.equal(await aborted.catch((reason) => reason), 'enough');
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  });
});
