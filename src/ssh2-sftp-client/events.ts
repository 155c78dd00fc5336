/** The events of a client: those of the connection, of trees, and the server's questions. */
import { EventEmitter } from 'node:events';
import type { AskKeyboard } from './connecting/login.js';
import type { Callbacks, TransferEvent } from './types.js';

const KEYBOARD = 'keyboard-interactive';

/** What happens where nobody has given a function for it. */
const DEFAULT_CALLBACKS = {
  error: (error: unknown) =>
    print(`Global error listener: ${error instanceof Error ? error.message : error}`),
  end: () => print('Global end listener: end event raised'),
  close: () => print('Global close listener: close event raised'),
} as const;

function print(line: string): void {
  // biome-ignore lint/suspicious/noConsole: ssh2-sftp-client documents that these go to the console
  console.log(line);
}

export class ClientEvents {
  readonly emitter = new EventEmitter();
  readonly #callbacks: Required<Callbacks>;

  constructor(callbacks: Callbacks | undefined) {
    this.#callbacks = {
      error: callbacks?.error ?? DEFAULT_CALLBACKS.error,
      end: callbacks?.end ?? DEFAULT_CALLBACKS.end,
      close: callbacks?.close ?? DEFAULT_CALLBACKS.close,
    };
    // Each client has as many listeners as its program wants.
    this.emitter.setMaxListeners(0);
  }

  tell(event: 'upload' | 'download', file: TransferEvent): void {
    this.emitter.emit(event, file);
  }

  /**
   * The connection is over. The functions of the constructor hear of it only where no call was under way, which tells it
   * by its rejection. An error without a listener is nobody's concern.
   */
  tellEnd({
    error,
    isUnexpected,
  }: {
    readonly error?: Error | undefined;
    readonly isUnexpected: boolean;
  }): void {
    if (error !== undefined) {
      if (this.emitter.listenerCount('error') > 0) this.emitter.emit('error', error);
      if (isUnexpected) this.#callbacks.error?.(error);
    }
    for (const event of ['end', 'close'] as const) {
      this.emitter.emit(event);
      if (isUnexpected) this.#callbacks[event]?.();
    }
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
