/** What servers that mean harm can send in each phase of a connection, and what is done meanwhile. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import { programOf } from '../support/child.js';
import {
  type Cleanup,
  flood,
  type Peer,
  sshString,
  startPeer,
  startRaw,
} from '../support/misbehaving-ssh.js';
import { type EndlessNames, type HostileSftp, serveHostileSftp } from './hostile-sftp.js';

export interface Scenario {
  readonly phase: string;
  readonly attack: string;
  /** Gives the port of the server. */
  start(cleanup: Cleanup): Promise<number>;
  /** Runs once the connection is there, with `sftp` and an empty `folder`; without it the connecting is measured. */
  readonly act?: string;
  readonly options?: object;
  /** One of the few that every run of the tests measures. */
  readonly isQuick?: boolean;
  /** It is measured for so long, where that is longer than usual. */
  readonly maxMs?: number;
}

/** The client has to notice by then, or the server stops sending. */
const MAX_SENT = 768 * 1024 * 1024;
const MIB = 1024 * 1024;

const MILLION = 'a million entries, as OpenSSH lists them';

/** With a million of files, as their names are those that OpenSSH has. */
const MILLION_NAMES: EndlessNames = { nameLength: 16, longnameLength: 70, count: 1_000_000 };
const jobs = pathToFileURL(programOf('src/jobs/index.ts').at(-1) ?? '').href;
const PLANNED = `
  const { planMirror } = await import(${JSON.stringify(jobs)});
  let count = 0;
  for await (const _ of planMirror(sftp, '/d', folder, { direction: 'down' })) count += 1;
  if (count !== 1_000_000) throw new Error(count + ' steps');`;
const CARRIED_OUT = `
  const { created, omitted } = await sftp.mirror('/d', folder, { direction: 'down' });
  if (created !== 1_000_000 || omitted !== 999_000) throw new Error(created + ' created');`;

const ALL_FAIL = `
  const { files, omitted, failed } = await sftp.getR('/d', folder, { continueOnError: true });
  if (files !== 0 || omitted + failed.length !== 1_000_000) throw new Error(omitted + ' omitted');`;

const shapes: Readonly<Record<string, EndlessNames>> = {
  'short names without end': { nameLength: 12 },
  'names of 255 bytes without end': { nameLength: 255 },
  'names of 200 KiB': { nameLength: 200 * 1024 },
  'names that are not UTF-8': { nameLength: 64, filling: 0xff },
  'long names of 200 KiB': { nameLength: 12, longnameLength: 200 * 1024 },
  'long names of 100 bytes': { nameLength: 12, longnameLength: 100 },
  'extended data of 200 KiB': { nameLength: 12, extendedLength: 200 * 1024 },
  'the same names again and again': { nameLength: 40, repeats: true },
  'a directory in a directory without end': { nameLength: 12, mode: 0o040755, count: 3000 },
  'directories without end': { nameLength: 12, mode: 0o040755 },
  'links without end': { nameLength: 40, mode: 0o120777 },
  'devices without end': { nameLength: 40, mode: 0o020644 },
  [MILLION]: MILLION_NAMES,
};

const down = "{ direction: 'down' }";
const listings: Readonly<Record<string, string>> = {
  listdir: "await sftp.listdir('/d')",
  listdirAttr: "await sftp.listdirAttr('/d')",
  walk: "for await (const _ of sftp.walk('/d'));",
  walktree: "await sftp.walktree('/d', () => {}, () => {}, () => {})",
  'glob, one directory': "await sftp.glob('/d/*')",
  'glob, a tree': "await sftp.glob('/d/**')",
  rmtree: "await sftp.rmtree('/d')",
  waitForFile: "await sftp.waitForFile('/d/*.none', { timeout: 80_000 })",
  watch: "for await (const _ of sftp.watch('/d', { recursive: true })) break;",
  getD: "await sftp.getD('/d', folder)",
  getR: "await sftp.getR('/d', folder, { filter: ({ type }) => type === 'directory' })",
  'getR with links':
    "await sftp.getR('/d', folder, { symlinks: 'follow', filter: ({ type }) => type === 'directory' })",
  mirror: `await sftp.mirror('/d', folder, ${down})`,
  'mirror, dry run': `await sftp.mirror('/d', folder, { direction: 'down', dryRun: true })`,
};

/** What lists by the same code meets the shapes that differ for it; these meet all. */
const withAllShapes = ['listdir', 'listdirAttr', 'walk', 'getR', 'mirror'];
const usualShapes = [
  'short names without end',
  'names of 255 bytes without end',
  'directories without end',
  'links without end',
];
const withMillion = Object.keys(listings).filter((call) => call !== 'mirror');
const MILLION_MS = 90_000;

function isMeasured(call: string, shape: string): boolean {
  if (shape === MILLION) return withMillion.includes(call);
  return withAllShapes.includes(call) || usualShapes.includes(shape);
}

const contents: Readonly<Record<string, string>> = {
  readFile: "await sftp.readFile('/f')",
  'open, read': "const file = await sftp.open('/f'); await file.read()",
  'open, readFile': "const file = await sftp.open('/f'); await file.readFile()",
  'open, lines': "const file = await sftp.open('/f'); for await (const _ of file.lines());",
  'createReadStream, not read':
    "const stream = sftp.createReadStream('/f'); stream.once('readable', () => {}); await wait(2000); stream.destroy()",
};

const answers: Readonly<Record<string, string>> = {
  stat: "await sftp.stat('/f')",
  normalize: "await sftp.normalize('/f')",
  readlink: "await sftp.readlink('/f')",
  'a thousand failures': "for (let i = 0; i < 1000; i += 1) await sftp.remove('/f').catch(() => {})",
  'failures of a tree':
    "const { writeFileSync } = await import('node:fs'); for (let i = 0; i < 500; i += 1) writeFileSync(folder + '/' + i, 'x'); await sftp.putR(folder, '/d', { continueOnError: true })",
};

function sftpScenario(phase: string, attack: string, act: string, hostile: HostileSftp): Scenario {
  return {
    phase,
    attack,
    act,
    start: (cleanup) => startPeer(cleanup, { onChannel: (channel) => serveHostileSftp(channel, hostile) }),
  };
}

/** Endless bytes from a server that has said nothing else. */
function rawScenario(phase: string, attack: string, bytes: Buffer, first = Buffer.alloc(0)): Scenario {
  const start = (cleanup: Cleanup) =>
    startRaw(cleanup, (socket) => {
      socket.write(first);
      void pour(socket, bytes);
    });
  return { phase, attack, start };
}

async function pour(socket: Socket, bytes: Buffer): Promise<void> {
  // It may be closed while it is full, and then it never drains.
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  for (let sent = 0; sent < MAX_SENT && !socket.destroyed; sent += bytes.length) {
    if (socket.write(bytes)) continue;
    await Promise.race([closed, new Promise<void>((resolve) => socket.once('drain', () => resolve()))]);
  }
}

const banner = Buffer.concat([Buffer.from([53]), sshString('x'.repeat(8192)), sshString('')]);
const extInfo = Buffer.concat([Buffer.from([7, 0, 0, 0, 1]), sshString('a'), sshString('b'.repeat(8192))]);
const debug = Buffer.concat([Buffer.from([4, 1]), sshString('x'.repeat(8192)), sshString('')]);

function loginScenario(attack: string, onAuthentication: (peer: Peer) => void): Scenario {
  const start = (cleanup: Cleanup) =>
    startPeer(cleanup, { onAuthentication: (_context, peer) => onAuthentication(peer) });
  return { phase: 'login', attack, start };
}

function promptScenario(attack: string, count: number, length: number): Scenario {
  const prompts = Array.from({ length: count }, () => ({ prompt: 'x'.repeat(length), echo: false }));
  const start = (cleanup: Cleanup) =>
    startPeer(cleanup, {
      onAuthentication: (context) => {
        if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive']);
        const again = (): void => void context.prompt(prompts, again);
        again();
      },
    });
  return { phase: 'prompts', attack, start, options: { asks: true, password: undefined } };
}

function commandScenario(attack: string, act: string, where: 'stdout' | 'stderr'): Scenario {
  const onCommand = (channel: { stderr: Socket } & Socket) =>
    void pour(where === 'stdout' ? channel : channel.stderr, Buffer.alloc(MIB / 4, 'x\n'));
  const start = (cleanup: Cleanup) =>
    startPeer(cleanup, {
      onChannel: (channel) => serveHostileSftp(channel, {}),
      onCommand: (channel) => onCommand(channel as unknown as { stderr: Socket } & Socket),
    });
  return { phase: 'commands', attack, act, start };
}

const zlib = { compress: ['zlib@openssh.com'] };

function compressedScenario(attack: string, act: string, hostile: HostileSftp): Scenario {
  const start = (cleanup: Cleanup) =>
    startPeer(cleanup, { algorithms: zlib, onChannel: (channel) => serveHostileSftp(channel, hostile) });
  return { phase: 'compression', attack, act, start, options: { compression: true } };
}

const quick = new Set([
  'listdir: names of 200 KiB',
  'getR: names of 255 bytes without end',
  'mirror: names of 255 bytes without end',
  'readFile: content without end of a file of 100 bytes',
]);

const all: readonly Scenario[] = [
  rawScenario('banner', 'lines without end', Buffer.from(`${'x'.repeat(200)}\r\n`.repeat(1000))),
  rawScenario('banner', 'a line without end', Buffer.alloc(MIB / 4, 'x')),
  rawScenario('key exchange', 'a packet of 4 GiB', Buffer.alloc(MIB / 4, 0xff), Buffer.from('SSH-2.0-x\r\n')),
  rawScenario(
    'key exchange',
    'IGNORE without end',
    Buffer.concat(Array(5000).fill(Buffer.from('0000000c0602000000000000000000ff', 'hex'))),
    Buffer.from('SSH-2.0-x\r\n'),
  ),
  loginScenario('banners without end', (peer) => void flood(peer, banner, MAX_SENT / 4)),
  loginScenario('EXT_INFO without end', (peer) => void flood(peer, extInfo, MAX_SENT / 4)),
  loginScenario('debug messages without end', (peer) => void flood(peer, debug, MAX_SENT / 4)),
  promptScenario('questions without end', 1, 1000),
  promptScenario('3,000 questions at once, without end', 3000, 5),
  promptScenario('questions of 30 KiB without end', 1, 30_000),
  sftpScenario('SFTP handshake', 'extensions of 200 KiB', "await sftp.stat('/')", {
    extensionLength: 200_000,
  }),
  ...Object.entries(listings).flatMap(([call, act]) =>
    Object.entries(shapes)
      .filter(([shape]) => isMeasured(call, shape))
      .map(([shape, names]) => ({
        ...sftpScenario(call, shape, act, { names }),
        ...(shape === MILLION && { maxMs: MILLION_MS }),
      })),
  ),
  { ...sftpScenario('planMirror', MILLION, PLANNED, { names: MILLION_NAMES }), maxMs: 600_000 },
  {
    ...sftpScenario('mirror', 'a million empty files that are copied', CARRIED_OUT, {
      names: { ...MILLION_NAMES, size: 0 },
      attributes: { mode: 0o100644, size: 0, mtime: 1_700_000_000 },
      isDirectory: true,
    }),
    maxMs: 1_800_000,
  },
  {
    ...sftpScenario('getR', 'a million files that cannot be opened', ALL_FAIL, {
      names: MILLION_NAMES,
      refusesFiles: true,
    }),
    maxMs: 600_000,
  },
  ...Object.entries(contents).flatMap(([call, act]) => [
    sftpScenario(call, 'content without end of a file of 100 bytes', act, {
      content: true,
      attributes: { mode: 0o100644, size: 100 },
    }),
    sftpScenario(call, 'content without end of a file of unknown size', act, {
      content: true,
      attributes: { mode: 0o100644 },
    }),
    sftpScenario(call, 'content of a file of 1 TiB', act, {
      content: true,
      attributes: { mode: 0o100644, size: 2 ** 40 },
    }),
  ]),
  ...Object.entries(answers).map(([call, act]) =>
    sftpScenario(call, 'texts of 200 KiB', act, { textLength: 200_000, fails: true }),
  ),
  commandScenario('output without end', "await sftp.run('x')", 'stdout'),
  commandScenario('errors without end', "await sftp.run('x')", 'stderr'),
  compressedScenario('content without end, of zeros', "await sftp.readFile('/f')", {
    content: true,
    attributes: { mode: 0o100644, size: 100 },
  }),
  compressedScenario('names of 200 KiB', "await sftp.listdir('/d')", { names: { nameLength: 200 * 1024 } }),
];

export const scenarios: readonly Scenario[] = all.map((scenario) => ({
  ...scenario,
  isQuick: quick.has(`${scenario.phase}: ${scenario.attack}`),
}));
