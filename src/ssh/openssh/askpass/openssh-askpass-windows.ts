/**
 * The helper through which ssh asks us on Windows, where a shell cannot read from a pipe of ours: a program for Node. So
 * it is only there if this program is run by Node itself: anything else might start itself again.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { basename, join } from 'node:path';
import { SshError } from '../../../errors.js';
import { askpassEnvironment } from './openssh-askpass.js';

const MAXIMUM_QUESTION = 16 * 1024;

const PROGRAM = `import { connect } from 'node:net';
const { TSFTP_ASKPASS_SOCKET: path, TSFTP_ASKPASS_TOKEN: token } = process.env;
const socket = connect({ path, allowHalfOpen: true });
let reply = '';
socket.setEncoding('utf8');
socket.on('data', (text) => { reply += text; });
socket.on('error', () => process.exit(1));
socket.on('end', () => {
  if (reply === '') process.exit(1);
  process.stdout.write(JSON.parse(reply) + '\\n', () => process.exit(0));
});
socket.end(JSON.stringify({ token, prompt: process.argv[2] ?? '' }));
`;

type AnswerText = (prompt: string) => Promise<string | undefined>;

export class WindowsAskpass {
  /** What ssh's environment needs. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, environment: Readonly<Record<string, string>>) {
    this.#server = server;
    this.environment = environment;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** `folder` must be one that nobody else may enter. Rejects with `SshError` (`UNSUPPORTED_OPTION`). */
  static async open(folder: string, answer: AnswerText): Promise<WindowsAskpass> {
    refuseOtherPrograms();
    const token = randomBytes(32).toString('base64url');
    const path = privateSocket(folder, 'ask');
    const program = join(folder, 'askpass.mjs');
    const starter = join(folder, 'askpass.cmd');
    await writeFile(program, PROGRAM, { mode: 0o600 });
    await writeFile(starter, `@set NODE_OPTIONS=\r\n@"${process.execPath}" "${program}" %1\r\n`);
    const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, token, answer));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
    return new WindowsAskpass(server, {
      ...askpassEnvironment(starter),
      TSFTP_ASKPASS_SOCKET: path,
      TSFTP_ASKPASS_TOKEN: token,
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Where to listen: in the folder, or on a pipe whose name nobody can guess. */
export function privateSocket(folder: string, name: string): string {
  if (process.platform !== 'win32') return join(folder, name);
  return `\\\\.\\pipe\\tsftp-${randomBytes(16).toString('hex')}`;
}

/** One in a single file, and whatever has started itself as the helper nevertheless. */
function refuseOtherPrograms(): void {
  const isNode = /^node(?:\.exe)?$/i.test(basename(process.execPath)) && process.versions.bun === undefined;
  const isSingleFile = process.getBuiltinModule?.('node:sea')?.isSea() === true;
  if (isNode && !isSingleFile && process.env.TSFTP_ASKPASS_SOCKET === undefined) return;
  const text =
    'Transport "openssh" on Windows needs node.exe to pass ssh a password or an answer, and this program is not run by ' +
    'it: use transport "ssh2", or log in with a key that needs no passphrase';
  throw new SshError('UNSUPPORTED_OPTION', text);
}

/** Nothing that a stranger sends may end the process: whatever fails here is a refusal. */
function serve(socket: Socket, token: string, answer: AnswerText): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('error', () => {});
  socket.on('data', (piece: string) => {
    text += piece;
    if (text.length > MAXIMUM_QUESTION) socket.destroy();
  });
  socket.on('end', () => {
    const prompt = readQuestion(text, token);
    const reply = prompt === undefined ? Promise.resolve(undefined) : answer(prompt);
    reply.then(
      (given) => socket.end(given === undefined ? '' : JSON.stringify(given)),
      () => socket.end(),
    );
  });
}

function readQuestion(text: string, token: string): string | undefined {
  try {
    const question: unknown = JSON.parse(text);
    if (typeof question !== 'object' || question === null) return undefined;
    const { token: shown, prompt } = question as { token?: unknown; prompt?: unknown };
    const known = Buffer.from(token);
    const given = Buffer.from(typeof shown === 'string' ? shown : '');
    const same = given.length === known.length && timingSafeEqual(given, known);
    return same && typeof prompt === 'string' ? prompt : undefined;
  } catch {
    return undefined;
  }
}
