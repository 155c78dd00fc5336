import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type CopyFileOptions, copyFile } from '../../../src/transfer/copy-file.js';
import { Window } from '../../../src/transfer/engine/window.js';
import {
  errorWithCode,
  FakeFileSystem,
  type FakeOptions,
  type Step,
} from '../../support/fake-file-system.js';

const CHUNK = 4;

interface Run extends Partial<CopyFileOptions> {
  readonly source?: FakeOptions;
  readonly target?: FakeOptions;
  readonly content?: string;
}

/** One copy of `/source` to `/target` with everything that one may want to look at afterwards. */
class Copy {
  readonly source: FakeFileSystem;
  readonly target: FakeFileSystem;
  readonly window: Window;
  readonly progress: (readonly [transferred: number, total: number])[] = [];
  readonly #options: Partial<CopyFileOptions>;
  hasSettled = false;

  constructor({ source, target, content = 'The quick brown fox', ...options }: Run = {}) {
    this.source = new FakeFileSystem(source).addFile('/source', content, { mtime: 1234 });
    this.target = new FakeFileSystem(target).addFile('/target', 'old', { mode: 0o640 });
    this.window = options.window ?? new Window({ max: 4 * CHUNK, initial: CHUNK });
    this.#options = options;
  }

  async run(): Promise<{ readonly bytes: number }> {
    try {
      return await copyFile(
        { fileSystem: this.source, path: Buffer.from('/source') },
        { fileSystem: this.target, path: Buffer.from('/target') },
        {
          atomic: true,
          onProgress: (transferred, total) => {
            assert.equal(this.hasSettled, false, 'no report after the end');
            this.progress.push([transferred, total]);
          },
          ...this.#options,
          window: this.window,
        },
      );
    } finally {
      this.hasSettled = true;
      assert.deepEqual([...this.source.violations, ...this.target.violations], []);
      assert.deepEqual([this.source.openFiles, this.target.openFiles], [0, 0], 'all files are closed');
      assert.equal(this.window.used, 0, 'nothing stays in flight');
    }
  }

  /** Rejects, and the target is what it was, with nothing beside it. */
  async fails(expected: object): Promise<void> {
    await assert.rejects(this.run(), expected);
    assert.equal(this.target.content('/target'), 'old');
    assert.deepEqual(this.target.paths, ['/', '/target']);
  }
}

const failing =
  (kind: Step['kind'], code: string, offset = 0) =>
  (step: Step) =>
    step.kind === kind && step.offset >= offset ? errorWithCode(code) : undefined;

describe('copyFile', () => {
  test('takes nothing of the window while it waits for its file on a server', async () => {
    const window = new Window({ max: 4 * CHUNK, initial: CHUNK });
    const used: number[] = [];
    const gate = async ({ kind }: Step) => {
      if (kind !== 'openTarget') return;
      await new Promise((resolve) => setImmediate(resolve));
      used.push(window.used);
    };
    for (const content of ['x', 'x'.repeat(10 * CHUNK)]) {
      const copy = new Copy({ content, window, target: { gate } });
      Object.defineProperty(copy.target, 'isLocal', { value: false });
      await copy.run();
    }
    assert.deepEqual(used, [0, 0]);
  });

  for (const isOrdered of [true, false]) {
    const kind = isOrdered ? 'an ordered' : 'an unordered';
    for (const length of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK, 1000]) {
      test(`copies ${length} bytes to ${kind} target`, async () => {
        const content = 'x'.repeat(length);
        const copy = new Copy({ content, target: { isOrdered } });
        assert.equal((await copy.run()).bytes, length);
        assert.equal(copy.target.content('/target'), content);
        assert.deepEqual(copy.target.paths, ['/', '/target']);
        assert.deepEqual(copy.progress.at(-1), [length, length]);
      });
    }
  }

  test('P12: whatever comes short and in whatever order, the bytes are identical and the requests bounded', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 120 }),
        fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 150 })),
        fc.integer({ min: 1, max: 40 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        fc.constantFrom('true', 'zero', 'absent'),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        fc.scheduler(),
        async (bytes, chunkLength, max, lengths, told, isOrdered, atomic, takesBlocks, scheduler) => {
          const gate = () => scheduler.schedule(Promise.resolve());
          const readLength = (available: number) => Math.min(available, lengths.next().value ?? 1);
          const window = new Window({ max, initial: Math.min(max, chunkLength) });
          const source = { chunkLength, takesBlocks, gate, readLength };
          const target = { chunkLength, takesBlocks, isOrdered, gate };
          const copy = new Copy({ source, target, atomic, window });
          const size = { true: bytes.length, zero: 0, absent: undefined }[told];
          copy.source.addFile('/source', bytes, { size });
          await scheduler.waitFor(copy.run());
          assert.equal(copy.target.content('/target'), Buffer.from(bytes).toString('latin1'));
          // Each read brings a byte, or finds the end: of those, no more than may be under way at once.
          const reads = copy.source.stepsOf('read').length;
          assert.ok(reads <= bytes.length + Math.ceil(max / chunkLength) + 1, `${reads} reads`);
          const figures = copy.progress.map(([transferred]) => transferred);
          assert.deepEqual(
            figures,
            [...figures].sort((a, b) => a - b),
          );
          assert.deepEqual(copy.progress.at(-1), [bytes.length, bytes.length]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('bytes in flight never exceed the window', async () => {
    const max = 3 * CHUNK;
    const window = new Window({ max });
    let most = 0;
    const gate = async () => {
      most = Math.max(most, window.used);
      await new Promise(setImmediate);
    };
    await new Copy({ content: 'x'.repeat(400), source: { gate }, target: { gate }, window }).run();
    assert.equal(most, max);
  });

  const whole = { length: 1000, max: 80 * CHUNK };
  for (const { title, length, max, concurrency, longest } of [
    { title: 'a quarter of the window', ...whole, concurrency: undefined, longest: 16 },
    {
      title: 'single requests where the window is small',
      ...whole,
      max: 7 * CHUNK,
      concurrency: undefined,
      longest: 1,
    },
    { title: 'single requests where these are counted', ...whole, concurrency: 3, longest: 1 },
    {
      title: 'no more than a quarter of 64',
      ...whole,
      length: 4000,
      max: 900 * CHUNK,
      concurrency: undefined,
      longest: 16,
    },
  ]) {
    test(`a call asks for ${title}, and never is more than 64 requests under way`, async () => {
      let asked = 0;
      let mostAsked = 0;
      const gate = async (step: Step) => {
        if (step.kind !== 'read') return;
        asked += Math.ceil(step.length / CHUNK);
        mostAsked = Math.max(mostAsked, asked);
        await new Promise(setImmediate);
        asked -= Math.ceil(step.length / CHUNK);
      };
      const window = new Window({ max });
      const source = { takesBlocks: true, gate };
      const target = { takesBlocks: true };
      const copy = new Copy({ content: 'x'.repeat(length), source, target, window, concurrency });
      await copy.run();
      assert.equal(copy.target.content('/target'), 'x'.repeat(length));
      assert.equal(Math.max(...copy.source.stepsOf('read').map((step) => step.length)), longest * CHUNK);
      assert.ok(mostAsked <= Math.min(64, concurrency ?? 64), `${mostAsked} requests`);
    });
  }

  test('a call asks for single requests where these alone take the line a while', async () => {
    let nowMs = 0;
    const now = () => {
      nowMs += 10_000;
      return nowMs;
    };
    const window = new Window({ max: 80 * CHUNK, initial: 80 * CHUNK, now });
    const copy = new Copy({
      content: 'x'.repeat(1000),
      source: { takesBlocks: true },
      target: { takesBlocks: true },
      window,
    });
    await copy.run();
    assert.equal(Math.max(...copy.source.stepsOf('read').map(({ length }) => length)), CHUNK);
  });

  test('the next is asked for as soon as something is written, not only with the next answer', async () => {
    let answerLast = () => {};
    const lastAnswer = new Promise<void>((resolve) => {
      answerLast = resolve;
    });
    const gate = async (step: Step) => {
      if (step.kind === 'read' && step.offset >= 7 * CHUNK) await lastAnswer;
    };
    const copy = new Copy({
      content: 'x'.repeat(100 * CHUNK),
      source: { gate },
      window: new Window({ max: 8 * CHUNK }),
    });
    const done = copy.run();
    // All that runs without another answer has run by then.
    await new Promise(setImmediate);
    const asked = copy.source.stepsOf('read').length;
    answerLast();
    await done;
    assert.equal(asked, 7 + 8);
  });

  test('no more is asked of a file at once than its source says', async () => {
    for (const [maxRequests, most] of [
      [undefined, 64],
      [100, 100],
      [10, 10],
    ] as const) {
      let asked = 0;
      let mostAsked = 0;
      const gate = async ({ kind }: Step) => {
        if (kind !== 'read') return;
        mostAsked = Math.max(mostAsked, ++asked);
        await new Promise(setImmediate);
        asked -= 1;
      };
      const source = { gate, maxRequests };
      await new Copy({ content: 'x'.repeat(1000), source, window: new Window({ max: 1000 }) }).run();
      assert.equal(mostAsked, most);
    }
  });

  test('several copies share one window and all end', async () => {
    const window = new Window({ max: 2 * CHUNK });
    let most = 0;
    const gate = async () => {
      most = Math.max(most, window.used);
      await new Promise(setImmediate);
    };
    const copies = Array.from({ length: 10 }, () => new Copy({ source: { gate }, target: { gate }, window }));
    await Promise.all(
      copies.map((copy) =>
        copyFile(
          { fileSystem: copy.source, path: Buffer.from('/source') },
          { fileSystem: copy.target, path: Buffer.from('/target') },
          { window, atomic: true },
        ),
      ),
    );
    assert.ok(most <= 2 * CHUNK);
    for (const copy of copies) assert.equal(copy.target.content('/target'), 'The quick brown fox');
    assert.equal(window.used, 0);
  });

  test('a source that does not tell its size is approached step by step and read to its end (L5)', async () => {
    for (const size of [0, undefined]) {
      const copy = new Copy();
      copy.source.addFile('/source', 'x'.repeat(50), { size });
      assert.equal((await copy.run()).bytes, 50);
      assert.equal(copy.target.content('/target'), 'x'.repeat(50));
      const offsets = copy.source.stepsOf('read').map(({ offset }) => offset);
      assert.ok(offsets.length <= Math.ceil(50 / CHUNK) + 1 + 4, `${offsets.length} reads`);
    }
  });

  test('P13: an end below the size is a failure that tells how far it came', async () => {
    const copy = new Copy();
    copy.source.addFile('/source', 'x'.repeat(10), { size: 30 });
    await copy.fails({
      name: 'TransferError',
      code: 'SOURCE_CHANGED',
      source: '/source',
      destination: '/target',
      bytesDone: 10,
      message:
        "'/source' ended after 10 of 30 bytes while it was copied; retry once nothing is writing to it",
    });
  });

  for (const size of [2, CHUNK - 1, CHUNK, 3 * CHUNK, 3 * CHUNK + 1]) {
    test(`L3: a source that grows beyond ${size} bytes is reported`, async () => {
      const copy = new Copy();
      copy.source.addFile('/source', 'x'.repeat(size + 20), { size });
      await copy.fails({ code: 'SOURCE_CHANGED', bytesDone: size, message: /grew beyond its \d+ bytes/ });
    });
  }

  for (const isOrdered of [true, false]) {
    const kind = isOrdered ? 'an ordered' : 'an unordered';
    test(`P15: a write to ${kind} target that fails fails the copy, with the cause and the bytes before it`, async () => {
      const fail = (step: Step) =>
        step.kind === 'write' && step.offset === 2 * CHUNK ? errorWithCode('EIO', 'broken') : undefined;
      await new Copy({ target: { isOrdered, fail } }).fails({
        name: 'TransferError',
        code: 'EIO',
        bytesDone: 2 * CHUNK,
        message: "Copying '/source' to '/target' after 8 bytes failed: broken",
      });
    });

    test(`P16: a close of ${kind} target that fails fails the copy`, async () => {
      const fail = failing('closeTarget', 'EIO');
      await new Copy({ target: { isOrdered, fail } }).fails({ name: 'TransferError', code: 'EIO' });
    });

    test(`attributes that ${kind} target refuses fail the copy`, async () => {
      const copy = new Copy({ target: { isOrdered, fail: failing('setAttributes', 'EPERM') } });
      await copy.fails({ name: 'TransferError', code: 'EPERM' });
    });
  }

  test('a full disk comes with advice (L1)', async () => {
    const copy = new Copy({ target: { fail: failing('write', 'ENOSPC', CHUNK) } });
    await copy.fails({ code: 'ENOSPC', message: /the disk is full: free some space and try again$/ });
  });

  test('a read that fails in the middle fails the copy', async () => {
    await new Copy({ source: { fail: failing('read', 'EIO', 2 * CHUNK) } }).fails({
      name: 'TransferError',
      code: 'EIO',
    });
  });

  test('a missing source touches nothing', async () => {
    const copy = new Copy({ source: { fail: failing('openSource', 'ENOENT') } });
    await copy.fails({ code: 'ENOENT' });
    assert.deepEqual(copy.target.steps, []);
  });

  test('a target that cannot be replaced fails with advice, and the source is closed', async () => {
    const copy = new Copy({ target: { fail: failing('openTarget', 'EACCES') } });
    await copy.fails({
      name: 'TransferError',
      code: 'EACCES',
      message: /set atomic: false to write it in place/,
    });
    assert.equal(copy.source.stepsOf('closeSource').length, 1);
  });

  test('a rename that fails leaves the old file and nothing beside it', async () => {
    await new Copy({ target: { fail: failing('replace', 'EPERM') } }).fails({ code: 'EPERM' });
  });

  test('after a failure no more is read than was under way', async () => {
    const content = 'x'.repeat(4000);
    const copy = new Copy({ content, target: { fail: failing('write', 'EIO') } });
    await copy.fails({ code: 'EIO' });
    assert.ok(copy.source.stepsOf('read').length <= 64, `${copy.source.stepsOf('read').length} reads`);
  });

  test('an atomic copy keeps the mode of the file that it replaces', async () => {
    const copy = new Copy();
    await copy.run();
    assert.equal(copy.target.nodes.get('/target')?.mode, 0o640);
  });

  test('an atomic copy is complete before it takes the place of the old file', async () => {
    const contents: (string | undefined)[] = [];
    const gate = async (step: Step): Promise<void> => {
      contents.push(copy.target.content('/target'));
      if (step.kind === 'replace') assert.equal(copy.target.content(step.path), 'The quick brown fox');
    };
    const copy: Copy = new Copy({ target: { gate } });
    await copy.run();
    assert.deepEqual(new Set(contents), new Set(['old']));
    assert.equal(copy.target.content('/target'), 'The quick brown fox');
  });

  test('a copy in place writes to the target itself', async () => {
    const copy = new Copy({ atomic: false });
    await copy.run();
    assert.deepEqual(
      copy.target.stepsOf('openTarget').map(({ path }) => path),
      ['/target'],
    );
    assert.equal(copy.target.stepsOf('replace').length, 0);
  });

  for (const [type, code] of [
    ['directory', 'EISDIR'],
    ['fifo', 'EEXIST'],
    ['character-device', 'EEXIST'],
  ] as const) {
    test(`a ${type} in the way of an atomic copy is refused before anything is written`, async () => {
      const copy = new Copy();
      copy.target.addSpecial('/target', type);
      await assert.rejects(copy.run(), { name: 'TransferError', code, destination: '/target', bytesDone: 0 });
      assert.equal(copy.target.stepsOf('openTarget').length, 0);
    });
  }

  test('a link in the way of an atomic copy is replaced itself (N3)', async () => {
    const copy = new Copy();
    copy.target.addFile('/elsewhere', 'untouched').addLink('/target', '/elsewhere');
    await copy.run();
    assert.equal(copy.target.nodes.get('/target')?.type, 'file');
    assert.equal(copy.target.content('/elsewhere'), 'untouched');
  });

  test('preserveMtime gives the copy the time of the source', async () => {
    for (const isOrdered of [true, false]) {
      const copy = new Copy({ preserveMtime: true, target: { isOrdered } });
      await copy.run();
      assert.equal(copy.target.nodes.get('/target')?.mtime, 1234);
    }
  });

  test('an empty file is reported once, as complete', async () => {
    const copy = new Copy({ content: '' });
    await copy.run();
    assert.deepEqual(copy.progress, [[0, 0]]);
  });

  test('a callback that throws fails the copy', async () => {
    const copy = new Copy({
      onProgress: () => {
        throw new Error('mine');
      },
    });
    await copy.fails({ name: 'TransferError', message: /mine/ });
  });
});

describe('copyFile, confirmation', () => {
  test('an early answer that agrees is asked for once', async () => {
    let asked = 0;
    const confirm = async () => {
      asked += 1;
      return { size: 19 };
    };
    await new Copy({ confirm, target: { isOrdered: true } }).run();
    assert.equal(asked, 1);
  });

  test('an early answer from before the end is asked for again', async () => {
    const answers = [{ size: 3 }, { size: 19 }];
    await new Copy({ confirm: async () => answers.shift() ?? assert.fail() }).run();
    assert.deepEqual(answers, []);
  });

  test('an early failure is asked for again too', async () => {
    let asked = 0;
    const confirm = async () => {
      asked += 1;
      if (asked === 1) throw errorWithCode('ENOENT');
      return { size: 19 };
    };
    await new Copy({ confirm }).run();
    assert.equal(asked, 2);
  });

  test('a size that does not agree fails the copy', async () => {
    await new Copy({ confirm: async () => ({ size: 18 }) }).fails({
      name: 'TransferError',
      code: 'SIZE_MISMATCH',
      bytesDone: 19,
      message: "'/target' has 18 bytes on the server, but 19 were written",
    });
  });

  test('a size of 0 is believed where the last byte is there and none behind it, and only there', async () => {
    const confirm = async () => ({ size: 0 });
    await new Copy({ confirm, atomic: false }).run();
    for (const found of ['The quick brown fo', 'The quick brown fox!']) {
      const copy = new Copy({
        atomic: false,
        confirm: async () => {
          copy.target.addFile('/target', found);
          return { size: 0 };
        },
      });
      await assert.rejects(copy.run(), { code: 'SIZE_MISMATCH', bytesDone: 19 });
    }
  });

  test('a file that is gone has its own error', async () => {
    await new Copy({ confirm: () => Promise.reject(errorWithCode('ENOENT')) }).fails({
      code: 'VANISHED',
      message: /confirm: false/,
    });
  });

  test('any other failure of the confirmation is told as it is', async () => {
    await new Copy({ confirm: () => Promise.reject(errorWithCode('EACCES')) }).fails({ code: 'EACCES' });
  });

  test('a server that tells no size is believed', async () => {
    await new Copy({ confirm: async () => ({ size: undefined }) }).run();
  });
});

/** Targets that are ordered or not; content in parts or at once. */
const WAYS = [
  [true, CHUNK],
  [false, CHUNK],
  [true, 64],
  [false, 64],
] as const;

describe('copyFile, content that fits into one request', () => {
  const chunkLength = 64;

  for (const isOrdered of [true, false]) {
    const kind = isOrdered ? 'an ordered' : 'an unordered';
    const to = (fail?: (step: Step) => Error | undefined) => ({
      source: { chunkLength },
      target: { chunkLength, isOrdered, ...(fail && { fail }) },
    });

    test(`is read with one request and written to ${kind} target with one`, async () => {
      const copy = new Copy(to());
      assert.deepEqual(await copy.run(), { bytes: 19, confirmation: undefined, hasReplaced: true });
      assert.equal(copy.target.content('/target'), 'The quick brown fox');
      const read = copy.source.stepsOf('read').map(({ offset, length }) => [offset, length]);
      assert.deepEqual([read, copy.target.stepsOf('write').length], [[[0, 20]], 1]);
      assert.deepEqual(copy.progress, [[19, 19]]);
    });

    for (const step of ['write', 'closeTarget', 'replace'] as const) {
      test(`a ${step} of ${kind} target that fails fails the copy`, async () => {
        await new Copy(to(failing(step, 'EIO'))).fails({ code: 'EIO' });
      });
    }

    test(`a full disk comes with advice and the bytes that ${kind} target has`, async () => {
      const message = /after 0 bytes failed: ENOSPC; the disk is full/;
      await new Copy(to(failing('write', 'ENOSPC'))).fails({ code: 'ENOSPC', bytesDone: 0, message });
    });

    test(`where ${kind} target cannot be opened, the source is closed once it is read`, async () => {
      const copy = new Copy(to(failing('openTarget', 'EACCES')));
      await copy.fails({
        name: 'TransferError',
        code: 'EACCES',
        message: /set atomic: false to write it in place/,
      });
      const steps = copy.source.steps.map(({ kind: step }) => step);
      assert.deepEqual(steps, ['openSource', 'read', 'closeSource']);
    });
  }

  test('a read that fails fails the copy', async () => {
    const source = { chunkLength, fail: failing('read', 'EIO') };
    await new Copy({ source, target: { chunkLength } }).fails({ name: 'TransferError', code: 'EIO' });
  });

  for (const [told, actual] of [
    [10, 30],
    [10, 7],
    [10, 0],
  ] as const) {
    test(`a source that tells ${told} bytes and has ${actual} is reported`, async () => {
      const copy = new Copy({ source: { chunkLength }, target: { chunkLength } });
      copy.source.addFile('/source', 'x'.repeat(actual), { size: told });
      await copy.fails({ code: 'SOURCE_CHANGED', bytesDone: Math.min(told, actual) });
    });
  }

  test('what comes in parts is asked for once', async () => {
    const copy = new Copy({ source: { chunkLength, readLength: () => 5 }, target: { chunkLength } });
    await copy.run();
    assert.equal(copy.target.content('/target'), 'The quick brown fox');
    const offsets = copy.source.stepsOf('read').map(({ offset }) => offset);
    assert.deepEqual(offsets, [0, 5, 10, 15]);
  });
});

describe('copyFile, aborted', () => {
  test('wherever the abort comes, the reason is what it rejects with and nothing is left (L8)', async () => {
    const steps = new Copy();
    await steps.run();
    const count = steps.source.steps.length + steps.target.steps.length;
    for (let at = 0; at < count; at += 1) {
      for (const [isOrdered, chunkLength] of WAYS) {
        const abort = new AbortController();
        let seen = 0;
        const gate = async () => {
          if (seen === at) abort.abort('enough');
          seen += 1;
        };
        const target = { gate, isOrdered, chunkLength };
        const copy = new Copy({ signal: abort.signal, source: { gate, chunkLength }, target });
        const outcome = await copy.run().catch((reason) => reason);
        // Once the new file has taken its place there is nothing to abort any more.
        if (outcome === 'enough') assert.equal(copy.target.content('/target'), 'old', `step ${at}`);
        else assert.equal(copy.target.content('/target'), 'The quick brown fox', `step ${at}`);
        assert.deepEqual(copy.target.paths, ['/', '/target'], `step ${at}`);
      }
    }
  });

  test('an abort from before touches nothing', async () => {
    const copy = new Copy({ signal: AbortSignal.abort('enough') });
    assert.equal(await copy.run().catch((reason) => reason), 'enough');
    assert.deepEqual([copy.source.steps, copy.target.steps], [[], []]);
  });

  test('a disk is not read on after the abort', async () => {
    const abort = new AbortController();
    const copy = new Copy({
      content: 'x'.repeat(4000),
      signal: abort.signal,
      onProgress: () => abort.abort('enough'),
    });
    assert.equal(await copy.run().catch((reason) => reason), 'enough');
    assert.ok(copy.source.stepsOf('read').length <= 64, `${copy.source.stepsOf('read').length} reads`);
  });
});
