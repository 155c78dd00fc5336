/** The events of a client: those of the connection, of trees, and the server's questions. */
import { EventEmitter } from 'node:events';
import { type ClientError, eventError } from './client-error.js';
import type { AskKeyboard } from './connecting/login.js';
import type { Callbacks, TransferEvent } from './types.js';

const KEYBOARD = 'keyboard-interactive';

/** For those who give no functions at all. */
const DEFAULT_CALLBACKS: Callbacks = {
  error: (error) =>
    // biome-ignore lint/suspicious/noConsole: ssh2-sftp-client documents that it goes to the console
    console.error(`Global error listener: ${error instanceof Error ? error.message : error}`),
  end: () => print('Global end listener: end event raised'),
  close: () => print('Global close listener: close event raised'),
};

function print(line: string): void {
  // biome-ignore lint/suspicious/noConsole: ssh2-sftp-client documents that these go to the console
  console.log(line);
}

export class ClientEvents {
  readonly emitter = new EventEmitter();
  /** The program has called `end`: the functions of the constructor are for what it did not ask for. */
  isEndWanted = false;
  readonly #callbacks: Callbacks;

  constructor(callbacks: Callbacks | null = DEFAULT_CALLBACKS) {
    this.#callbacks = callbacks ?? {};
    // Each client has as many listeners as its program wants.
    this.emitter.setMaxListeners(0);
  }

  tell(event: 'upload' | 'download', file: TransferEvent): void {
    this.emitter.emit(event, file);
  }

  /**
   * The connection is over; without an error the server or the program ended it in order. A call that was under way tells
   * error and end by its rejection: then the functions of the constructor hear of its close alone.
   */
  tellEnd(error: ClientError | undefined, { isTold }: { readonly isTold: boolean }): void {
    if (error !== undefined) {
      this.#tellError(error);
      if (!isTold) this.#callbacks.error?.(error);
    }
    this.#tellEnded(error, isTold);
    if (this.isEndWanted) this.#tellClosed();
    // The calls that were under way reject first.
    else setImmediate(() => this.#tellClosed());
  }

  /** Connecting has failed. What ends with it is told once the call has rejected: a listener may connect anew. */
  tellFailure(error: ClientError): void {
    // An option was invalid, and nothing has been tried.
    if (error.level === undefined) return;
    this.#tellError(eventError(error));
    setImmediate(() => {
      this.#tellEnded(error, false);
      this.#tellClosed();
    });
  }

  /** An error without a listener is nobody's concern. */
  #tellError(error: ClientError): void {
    if (this.emitter.listenerCount('error') > 0) this.emitter.emit('error', error);
  }

  /** A socket that fails is closed without an end. */
  #tellEnded(error: ClientError | undefined, isTold: boolean): void {
    if (error?.level === 'client-socket' || error?.level === 'client-timeout') return;
    this.emitter.emit('end');
    if (!isTold && !this.isEndWanted) this.#callbacks.end?.();
  }

  #tellClosed(): void {
    this.emitter.emit('close');
    if (!this.isEndWanted) this.#callbacks.close?.();
  }

  tellReady(): void {
    this.emitter.emit('ready');
  }

  /** Passes the server's questions to the program; `undefined` if it does not answer them. */
  get askKeyboard(): AskKeyboard | undefined {
    if (this.emitter.listenerCount(KEYBOARD) === 0) return undefined;
    return ({ name, instructions }, prompts) =>
      new Promise((resolve) => {
        this.emitter.emit(KEYBOARD, name, instructions, '', prompts, resolve);
      });
  }
}
