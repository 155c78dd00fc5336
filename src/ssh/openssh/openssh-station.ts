/** A process of ssh as we hear and answer it: one for the server, one for each host on the way. */
import { join } from 'node:path';
import { printable } from '../../shared/printable.js';
import { type Answerer, LogReader } from './askpass/openssh-askpass.js';
import type { Asker } from './askpass/openssh-prompt.js';
import { OpensshLog } from './failures/openssh-log.js';
import { AnswerPipe, makePipes, ReadPipe } from './openssh-pipes.js';
import type { Resolution } from './openssh-resolution.js';

export interface StationOptions {
  /** Its own, where its pipes are. */
  readonly folder: string;
  readonly resolution: Resolution;
  readonly isJumpHost: boolean;
  readonly token: string;
  readonly answers: { for(asker: Asker): Answerer };
  readonly log: ConstructorParameters<typeof OpensshLog>[0];
}

export class OpensshStation implements Asker {
  readonly resolution: Resolution;
  readonly isJumpHost: boolean;
  readonly log: OpensshLog;
  /** What tells its log where to go. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly #input: ReadPipe;
  readonly #output: AnswerPipe;

  private constructor(options: StationOptions, logPath: string, answerPath: string) {
    const { resolution, isJumpHost, token, answers } = options;
    this.resolution = resolution;
    this.isJumpHost = isJumpHost;
    this.log = new OpensshLog(options.log);
    this.arguments = ['-E', logPath];
    this.environment = { TSFTP_LOG: logPath, TSFTP_ANSWERS: answerPath };
    this.#output = new AnswerPipe(answerPath);
    const answer = answers.for(this);
    const reader = new LogReader({
      token,
      onLine: (line) => this.log.read(line),
      onQuestion: (question) => {
        this.#output.clear();
        // The reader waits for a line, and an empty one is as good as no answer.
        const write = (text = ''): void => this.#output.write(`${text}\n`);
        answer(question).then(write, () => write());
      },
    });
    this.#input = new ReadPipe(logPath, (chunk) => reader.push(chunk));
  }

  /** `folder` must be one that nobody else may enter. */
  static async open(options: StationOptions): Promise<OpensshStation> {
    const paths = ['log', 'answers'].map((name) => join(options.folder, name));
    await makePipes(paths);
    const [logPath = '', answerPath = ''] = paths;
    return new OpensshStation(options, logPath, answerPath);
  }

  /** For messages. */
  get name(): string {
    return printable(`${this.resolution.host}:${this.resolution.port}`);
  }

  /** Reads what was written so far. */
  readLog(): void {
    this.#input.drain();
  }

  close(): void {
    this.#input.close();
    this.#output.close();
  }
}
