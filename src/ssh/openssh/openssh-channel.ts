/** One channel as a Duplex: the standard input and output of an ssh process. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { Duplex, PassThrough, type Readable } from 'node:stream';
import { withinTime } from '../../shared/abort.js';
import { closedByServer, closedHere, endAfterReading, KEPT_STDERR } from '../channel-end.js';
import type { CommandExit } from '../ssh-connection.js';
import { killSsh } from './openssh-process.js';

/** The end of the data should be followed by the end of the process, with its status. */
const EXIT_AFTER_EOF_MS = 1_000;
const KILL_AFTER_MS = 1_000;
/** The status of ssh itself, rather than of the command. */
const SSH_FAILED = 255;
const REASON_WITHIN_MS = 100;

export interface OpensshChannelSettings {
  /** For messages: what runs on it, for instance `the subsystem sftp`. */
  readonly label: string;
  /** Is it an error that the other side ends it before we do? */
  readonly endIsError: boolean;
  /** Asked first when the process has ended: the end of the whole connection explains that of its channels. */
  readonly explainEnd?: () => Error | undefined;
}

export class OpensshChannel extends Duplex {
  readonly exit: Promise<CommandExit>;
  /** Only where the end is no error: else it goes into the error. */
  readonly stderr: Readable | undefined;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #settings: OpensshChannelSettings;
  #stderr = '';
  #ended: CommandExit | undefined;
  #timer: NodeJS.Timeout | undefined;
  #killed = false;

  constructor(child: ChildProcessWithoutNullStreams, settings: OpensshChannelSettings) {
    super();
    this.#child = child;
    this.#settings = settings;
    // An error has told its story in every callback; without a listener it would end the process too.
    this.on('error', () => {});
    child.stdin.on('error', () => {});
    child.stdout.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdout.on('end', () => this.#onEnd());
    child.stderr.on('data', (chunk: Buffer) => this.#keepStderr(chunk));
    // Node throws away what nobody has read when a process ends; this keeps it.
    this.stderr = settings.endIsError ? undefined : child.stderr.pipe(new PassThrough());
    this.stderr?.on('error', () => {});
    this.exit = new Promise((resolve) => {
      child.once('exit', (exitCode, signal) => {
        const end = (): void => {
          this.#ended = { exitCode, signal };
          resolve(this.#ended);
          this.#onExit();
        };
        // With the connection lost, the process that held it ends in the same moment, and knows the reason.
        if (exitCode === SSH_FAILED) setTimeout(end, REASON_WITHIN_MS);
        else end();
      });
    });
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#child.stdin.write(chunk, (error) => {
      // A command may end without having read its input; what it wrote, and its status, count all the same.
      const isUnread = !this.#settings.endIsError && this.#settings.explainEnd?.() === undefined;
      if (error == null || isUnread) callback(null);
      else void this.#wordsOfTheEnd().then(() => callback(this.#endReason()));
    });
  }

  /** Where nothing can be written any more, the process is about to end, and to say why. */
  async #wordsOfTheEnd(): Promise<void> {
    if (this.destroyed || this.#settings.explainEnd?.() !== undefined) return;
    const { stderr } = this.#child;
    const said = stderr.closed ? undefined : new Promise((resolve) => stderr.once('close', resolve));
    await withinTime(Promise.all([this.exit, said]), EXIT_AFTER_EOF_MS);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#child.stdin.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    const { stdin, stdout } = this.#child;
    stdin.destroy();
    stdout.destroy();
    if (error !== null) this.stderr?.destroy(error);
    if (this.#ended === undefined) this.#end();
    callback(error);
  }

  /** Ends what runs here. The process that holds the connection may keep our pipe open for longer. */
  kill(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): void {
    this.#killed = true;
    killSsh(this.#child, signal);
  }

  /** Without its input ssh closes the channel; where it does not, it is told to. */
  #end(): void {
    const timer = setTimeout(() => killSsh(this.#child, 'SIGTERM'), KILL_AFTER_MS);
    this.#child.once('exit', () => clearTimeout(timer));
  }

  #keepStderr(chunk: Buffer): void {
    if (this.#stderr.length < KEPT_STDERR) this.#stderr += chunk.toString('utf8').slice(0, KEPT_STDERR);
  }

  /** What was written on stderr, up to a few KiB. */
  get words(): string {
    return this.#stderr;
  }

  #onEnd(): void {
    if (!this.#settings.endIsError || this.writableEnded) this.push(null);
    else this.#timer = setTimeout(() => this.destroy(this.#endReason()), EXIT_AFTER_EOF_MS);
  }

  /** What is left in the pipe is still delivered, unless the connection is gone or nobody wants it. */
  #onExit(): void {
    clearTimeout(this.#timer);
    const { stdout } = this.#child;
    const finish = (): void => this.#finish();
    if (this.#killed || stdout.readableEnded || this.#settings.explainEnd?.() !== undefined) finish();
    else stdout.once('end', finish);
  }

  #finish(): void {
    if (this.destroyed) return;
    const lost = this.#settings.explainEnd?.();
    const failed = lost !== undefined || (this.#settings.endIsError && !this.writableEnded);
    endAfterReading(this, { failed, isLost: lost !== undefined }, () => this.#endReason());
  }

  #endReason(): Error {
    const lost = this.#settings.explainEnd?.();
    if (lost !== undefined) return lost;
    const { label } = this.#settings;
    if (this.#ended === undefined && this.#stderr.trim() === '') return closedHere(label);
    return closedByServer(label, this.#ended ?? { exitCode: null, signal: null }, this.#stderr);
  }
}
