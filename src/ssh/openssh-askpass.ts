/**
 * Answers the questions of ssh, which asks through a program (SSH_ASKPASS): ours is a few lines in a private folder
 * that pass the question on to us over a socket there, and print our answer. No secret is in a file, in an argument
 * or in the environment; whoever asks must know a word that only our own ssh was told.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

/** Gives the answer, or `undefined` to refuse. */
export type Answerer = (prompt: string) => Promise<string | undefined>;

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

export class Askpass {
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

  /** `folder` must be one that nobody else may enter. */
  static async open(folder: string, answer: Answerer): Promise<Askpass> {
    const windows = process.platform === 'win32';
    const token = randomBytes(32).toString('base64url');
    const path = privateSocket(folder, 'ask');
    const program = join(folder, 'askpass.mjs');
    const starter = join(folder, windows ? 'askpass.cmd' : 'askpass');
    await writeFile(program, PROGRAM, { mode: 0o600 });
    await writeFile(starter, windows ? windowsStarter(program) : posixStarter(program), { mode: 0o700 });
    const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, token, answer));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
    return new Askpass(server, {
      SSH_ASKPASS: starter,
      SSH_ASKPASS_REQUIRE: 'force',
      // Before OpenSSH 8.4 there must be a display for a program to be asked.
      DISPLAY: process.env.DISPLAY || ':0',
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

function posixStarter(program: string): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  return `#!/bin/sh\nNODE_OPTIONS= ELECTRON_RUN_AS_NODE=1 exec ${quote(process.execPath)} ${quote(program)} "$1"\n`;
}

function windowsStarter(program: string): string {
  return `@set NODE_OPTIONS=\r\n@set ELECTRON_RUN_AS_NODE=1\r\n@"${process.execPath}" "${program}" %1\r\n`;
}

/** Nothing that a stranger sends may end the process: whatever fails here is a refusal. */
function serve(socket: Socket, token: string, answer: Answerer): void {
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
