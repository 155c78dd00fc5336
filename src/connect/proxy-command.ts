/** A command of the program's own that leads to the server, as ssh's ProxyCommand: its input and output are the stream. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { SshError } from '../errors.js';
import { printable } from '../shared/printable.js';
import { pause } from '../shared/retry.js';
import { expandTokens, makeTokens, type TokenFacts } from '../ssh/config/ssh-config-tokens.js';

/** What a command may still take to end, in ms: before it is killed, and before an error does without its words. */
const PATIENCE_MS = 1000;
const MAX_WORDS = 2000;

/** What is put into the command where a token stands, and might be taken for something else by a shell. */
const UNSAFE = /^-|[\p{Cc}\s'"`$\\;&<>|(){}*?!#~[\]]/u;

/**
 * The command with its tokens replaced, as in ssh_config(5): `%h`, `%p`, `%r`, `%n` and the others of ProxyCommand.
 *
 * @throws TypeError it is no command, has an unknown token, or a shell would take a name in it for something else
 */
export function expandCommand(command: string, facts: TokenFacts): string {
  if (typeof command !== 'string' || command.trim() === '' || command.includes('\0')) {
    throw new TypeError('proxyCommand must be a command: a string that is not empty, without NUL');
  }
  const tokens = makeTokens(facts);
  for (const name of ['h', 'n', 'k', 'r']) {
    if (!new RegExp(`(?:^|[^%])(?:%%)*%${name}`).test(command)) continue;
    const value = tokens[name] ?? '';
    if (UNSAFE.test(value)) {
      throw new TypeError(
        `'${printable(value, 100)}' cannot stand for %${name} in proxyCommand: a shell reads it`,
      );
    }
  }
  try {
    return expandTokens(command, tokens);
  } catch (cause) {
    throw new TypeError(
      'proxyCommand has a % before a letter that means nothing: write %% for a percent sign',
      {
        cause,
      },
    );
  }
}

/** A running command as a stream. It is ended when the stream is destroyed. */
export class ProxyCommand extends Duplex {
  readonly #command: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<unknown>;
  #words = '';
  #failure: Error | undefined;

  /** Run by the user's shell, which the command takes the place of, so that ending it ends the command. */
  constructor(command: string) {
    super({ allowHalfOpen: false });
    this.#command = command;
    const isWindows = process.platform === 'win32';
    const stdio: ['pipe', 'pipe', 'pipe'] = ['pipe', 'pipe', 'pipe'];
    this.#child = isWindows
      ? spawn(command, { stdio, shell: true, windowsHide: true })
      : spawn(process.env.SHELL || '/bin/sh', ['-c', `exec ${command}`], { stdio });
    const { stdin, stdout, stderr } = this.#child;
    this.#child.once('error', (error) => {
      this.#failure = error;
      this.destroy();
    });
    this.#ended = once(this.#child, 'close').catch(() => {});
    for (const stream of [stdin, stdout, stderr]) stream.on('error', () => {});
    stderr.on('data', (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString()).slice(-MAX_WORDS);
    });
    stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) stdout.pause();
    });
    stdout.once('end', () => this.push(null));
    this.#child.once('exit', () => stdin.destroy());
  }

  /** An error of connecting, with what the command has said, where it was the command that ended first. */
  async explain(error: unknown, where: string): Promise<unknown> {
    await Promise.race([this.#ended, pause(PATIENCE_MS, undefined)]);
    const { exitCode } = this.#child;
    const hasFailed = this.#failure !== undefined || (exitCode !== null && exitCode !== 0);
    const words = printable(this.#words.trim(), 500);
    if (!hasFailed && words === '') return error;
    const how = this.#failure?.message ?? (exitCode === null ? 'it was ended' : `exit code ${exitCode}`);
    const text =
      `The proxy command did not lead to ${where} (${how}): ${words || 'it wrote nothing to stderr'}; ` +
      `the command was: ${printable(this.#command, 300)}`;
    return new SshError('PROXY_FAILED', text, { cause: error });
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#child.stdin.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const child = this.#child;
    child.stdin.destroy();
    child.stdout.destroy();
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGHUP');
      const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
      child.once('exit', () => clearTimeout(timer));
    }
    done(error);
  }
}
