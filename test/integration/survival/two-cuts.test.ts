/** A transfer that has lost its connection loses it once more, at each request of its second attempt in turn. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Connection, copyBetween } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

const SIZE = 700_000;
const FIRST_CUT = 400_000;
const RETRY = { attempts: 3, delay: 1, factor: 1, jitter: 0 };

/** Cuts while content moves, and then at a request that follows. */
class Cuts {
  server: TestServer | undefined;
  hasCutTwice = false;
  readonly #second: number;
  #hasCut = false;
  #count = 0;

  constructor(second: number) {
    this.#second = second;
  }

  readonly failOn = ({
    kind,
    offset = 0,
  }: {
    readonly kind: string;
    readonly offset?: number | undefined;
  }) => {
    if (this.#hasCut) this.#count += 1;
    const isFirst = !this.#hasCut && (kind === 'write' || kind === 'read') && offset > FIRST_CUT;
    const isSecond = this.#count === this.#second && !this.hasCutTwice;
    if (isFirst) this.#hasCut = true;
    else if (isSecond) this.hasCutTwice = true;
    else return undefined;
    this.server?.disconnectAll();
    return new Promise<never>(() => {});
  };
}

interface World {
  readonly sftp: Connection;
  /** The local folder; that of the server has the same names. */
  readonly here: string;
}

interface Case {
  readonly name: string;
  /** Where the copy lies in the end. */
  readonly side: 'here' | 'there';
  readonly run: (world: World) => Promise<unknown>;
}

const CASES: readonly Case[] = [
  { name: 'put', side: 'there', run: ({ sftp, here }) => sftp.put(join(here, 'from/file'), '/to/file') },
  {
    name: 'put, atomic',
    side: 'there',
    run: ({ sftp, here }) => sftp.put(join(here, 'from/file'), '/to/file', { atomic: true }),
  },
  { name: 'putR', side: 'there', run: ({ sftp, here }) => sftp.putR(join(here, 'from'), '/to') },
  {
    name: 'mirror up',
    side: 'there',
    run: ({ sftp, here }) => sftp.mirror(join(here, 'from'), '/to', { direction: 'up' }),
  },
  { name: 'get', side: 'here', run: ({ sftp, here }) => sftp.get('/from/file', join(here, 'to/file')) },
  { name: 'getD', side: 'here', run: ({ sftp, here }) => sftp.getD('/from', join(here, 'to')) },
  {
    name: 'mirror down',
    side: 'here',
    run: ({ sftp, here }) => sftp.mirror('/from', join(here, 'to'), { direction: 'down' }),
  },
  {
    name: 'copyBetween',
    side: 'there',
    run: async ({ sftp }) => {
      await using other = await startServer({ files: { 'from/file': CONTENT } });
      await using source = await connectToServer(other, { retry: RETRY });
      await copyBetween(source, '/from', sftp, '/to', { retry: RETRY });
    },
  },
];

const CONTENT = randomBytes(SIZE);

/** Both sides with a source, and with an old file in the target's place where wanted. */
function fill(folder: string, isThere: boolean): void {
  for (const end of ['here', 'there']) {
    for (const directory of ['from', 'to']) mkdirSync(join(folder, end, directory), { recursive: true });
    writeFileSync(join(folder, end, 'from', 'file'), CONTENT);
    if (isThere) writeFileSync(join(folder, end, 'to', 'file'), 'old');
  }
}

/** Whether there was a request to cut at. */
async function copyWithCuts(folder: string, second: number, { run, side }: Case): Promise<boolean> {
  const cuts = new Cuts(second);
  const faults = { failOn: cuts.failOn };
  await using server = await startServer({ root: join(folder, 'there') }, { faults });
  cuts.server = server;
  await using sftp = await connectToServer(server, { retry: RETRY });
  await run({ sftp, here: join(folder, 'here') });
  const target = join(folder, side, 'to');
  assert.deepEqual(readdirSync(target), ['file'], `the second cut at request ${second}`);
  assert.ok(CONTENT.equals(readFileSync(join(target, 'file'))), `the second cut at request ${second}`);
  return cuts.hasCutTwice;
}

describe('A second loss, at any request of the second attempt', { concurrency: true }, () => {
  for (const isThere of [false, true])
    for (const each of CASES) {
      const what = isThere ? 'over a file that is there' : 'of a new file';
      test(`${each.name} ${what} leaves the whole file and nothing else`, async (t) => {
        for (let second = 1, hasCut = true; hasCut; second += 1) {
          assert.ok(second < 100, 'it ends');
          const folder = makeFolder(t);
          fill(folder, isThere);
          hasCut = await copyWithCuts(folder, second, each);
        }
      });
    }
});
