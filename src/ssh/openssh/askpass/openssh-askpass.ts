/**
 * How ssh asks us: it starts a program (SSH_ASKPASS), and ours is a few lines for the shell, which need nothing else:
 * above all they do not start this program again. The question comes over the pipe of the log of the ssh that asks, so
 * that all which ssh had written before has been read; the answer goes back over another. No secret is in a file, an
 * argument or the environment. Should this program end meanwhile, the reading ends, and so does ssh.
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What ssh wants to know. */
export interface Question {
  readonly prompt: string;
  /** Does the ssh ask that we have started, and not something that this has started, as a ProxyCommand? */
  readonly isOwn: boolean;
}

/** Gives the answer, or `undefined` to refuse. */
export type Answerer = (question: Question) => Promise<string | undefined>;

const MAXIMUM_QUESTION = 16 * 1024;

/**
 * To open a pipe for reading and writing never waits, and so neither does the second opening, even if nobody is at the
 * other end any more. A lock that a killed helper has left refuses the next question, rather than let two read one answer.
 */
const PROGRAM = `#!/bin/sh
umask 077
mkdir "$TSFTP_ANSWERS.busy" || exit 1
exec 3<>"$TSFTP_ANSWERS" 4<"$TSFTP_ANSWERS" 3>&-
exec 5<>"$TSFTP_LOG" 6>"$TSFTP_LOG" 5>&-
who=other
if [ "$PPID" = "$TSFTP_PID" ]; then who=own; fi
printf '%s ask %s\\n%s\\n%s end\\n' "$TSFTP_TOKEN" "$who" "$1" "$TSFTP_TOKEN" >&6
head -n 1 <&4
rmdir "$TSFTP_ANSWERS.busy"
`;

/** A word that only our helper is told, so that no line of a log can be taken for a question. */
export function makeToken(): string {
  return randomBytes(32).toString('base64url');
}

/** `folder` must be one that nobody else may enter. Gives what ssh's environment needs. */
export async function writeAskpass(folder: string, token: string): Promise<Readonly<Record<string, string>>> {
  const program = join(folder, 'askpass');
  await writeFile(program, PROGRAM, { mode: 0o700 });
  return { ...askpassEnvironment(program), TSFTP_TOKEN: token };
}

export function askpassEnvironment(program: string): Readonly<Record<string, string>> {
  return {
    SSH_ASKPASS: program,
    SSH_ASKPASS_REQUIRE: 'force',
    // Before OpenSSH 8.4 there must be a display for a program to be asked.
    DISPLAY: process.env.DISPLAY || ':0',
  };
}

export interface LogReaderOptions {
  readonly token: string;
  readonly onLine: (line: string) => void;
  readonly onQuestion: (question: Question) => void;
}

/** Tells the questions from the lines among which they come. */
export class LogReader {
  readonly #options: LogReaderOptions;
  #rest = '';
  #question: { readonly lines: string[]; readonly isOwn: boolean; length: number } | undefined;

  constructor(options: LogReaderOptions) {
    this.#options = options;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, MAXIMUM_QUESTION);
    for (const line of lines) this.#read(line);
  }

  /** Reads what has no line end. */
  end(): void {
    this.#read(this.#rest);
    this.#rest = '';
  }

  #read(line: string): void {
    const { token, onLine, onQuestion } = this.#options;
    const question = this.#question;
    if (line.startsWith(`${token} ask `)) {
      this.#question = { lines: [], isOwn: line === `${token} ask own`, length: 0 };
    } else if (question === undefined) {
      onLine(line);
    } else if (line === `${token} end`) {
      this.#question = undefined;
      const prompt = Buffer.from(question.lines.join('\n'), 'latin1').toString('utf8');
      onQuestion({ prompt, isOwn: question.isOwn });
    } else if (question.length < MAXIMUM_QUESTION) {
      question.lines.push(line);
      question.length += line.length + 1;
    }
  }
}
