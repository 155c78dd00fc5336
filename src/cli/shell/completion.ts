/** What Tab completes: commands, options, and names on the side on which an argument lies. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withHome } from '../addresses/local-names.js';
import { findSessionCommand, SESSION_COMMANDS } from '../batch/session-commands.js';
import { plainText, splitWords, type Word } from '../batch/words.js';
import type { OperandSide, OperandSpec } from '../commands/command.js';
import { COMMANDS, findCommand } from '../commands/table.js';
import type { OptionSpec } from '../options/option-table.js';

/** A name in a directory. */
interface Candidate {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** Lists a directory on the server. */
export type RemoteLister = (directory: string) => Promise<readonly Candidate[]>;

/** For readline: the texts that fit, and the end of the line that each of them would replace. */
export async function complete(line: string, list: RemoteLister): Promise<[string[], string]> {
  const words = splitWords(line, { isPartial: true });
  const isNew = line === '' || (/\s$/.test(line) && words.at(-1)?.end !== line.length);
  const current = isNew
    ? { text: '', start: line.length, end: line.length, openQuote: undefined }
    : words.at(-1);
  const before = isNew ? words : words.slice(0, -1);
  if (current === undefined || before.length === 0) return commandNames(line);
  const [first, ...others] = before;
  const name = first?.text.toLowerCase() ?? '';
  const written = line.slice(current.start);
  if (written.startsWith('-')) return fitting(optionsOf(name), written);
  const side = sideOf(name, others);
  if (side !== 'remote' && side !== 'local') return [[], written];
  return completePath(current, written, side === 'local' ? listLocal : list);
}

function commandNames(line: string): [string[], string] {
  const start = line.trimStart();
  const names = [
    ...COMMANDS.filter(({ load, isHidden }) => load !== undefined && isHidden !== true).map(
      ({ name }) => name,
    ),
    ...SESSION_COMMANDS.map(({ name }) => name),
    'mget',
    'mput',
    'quit',
    'bye',
  ];
  return fitting(
    [...new Set(names)].sort().map((name) => `${name} `),
    start,
  );
}

function fitting(candidates: readonly string[], written: string): [string[], string] {
  return [candidates.filter((candidate) => candidate.startsWith(written)), written];
}

function optionsOf(name: string): readonly string[] {
  const options: readonly OptionSpec[] = findCommand(name)?.options ?? [];
  return options.flatMap(({ flags, isHidden }) => {
    const long = /--[a-z\d-]+/.exec(flags)?.[0];
    return long === undefined || isHidden ? [] : [`${long} `];
  });
}

/** On which side the next argument lies, after those that are there. */
function sideOf(name: string, before: readonly Word[]): OperandSide | undefined {
  const words = before.map(({ text }) => text).filter((text) => !text.startsWith('-'));
  if (name === 'mirror') {
    const isUp = before.some(({ text }) => text === '-U' || text === '--up');
    return (words.length === 0) === isUp ? 'local' : 'remote';
  }
  if (name === '!') return 'local';
  const operands = findSessionCommand(name)?.operands ?? findCommand(name)?.operands;
  return operands === undefined
    ? undefined
    : (operandAt(operands, words.length)?.side.replace('any', 'remote') as OperandSide | undefined);
}

/** In a session, `get` and `put` take a source and then a target. */
function operandAt(operands: readonly OperandSpec[], index: number): OperandSpec | undefined {
  return operands[index] ?? operands.findLast(({ isRepeated }) => isRepeated === true);
}

/** As it is typed: in its quotes, or with a backslash before what would mean something. */
async function completePath(word: Word, written: string, list: RemoteLister): Promise<[string[], string]> {
  const typed = plainText(word.text);
  const slash = typed.lastIndexOf('/') + 1;
  const [directory, start] = [typed.slice(0, slash), typed.slice(slash)];
  const quote = word.openQuote ?? '';
  const found = await list(directory === '' ? '.' : directory);
  const texts = found
    .filter(({ name }) => name.startsWith(start) && (start !== '' || !name.startsWith('.')))
    .map(({ name, isDirectory }) => {
      const path = `${directory}${name}${isDirectory ? '/' : ''}`;
      const end = isDirectory ? '' : `${quote} `;
      return `${quote}${quote === '' ? escapeBlanks(path) : escapeIn(path, quote)}${end}`;
    });
  // What was typed may be written in another way: then the first complete it, and Tab finds the rest.
  const prefix = `${quote}${quote === '' ? escapeBlanks(typed) : escapeIn(typed, quote)}`;
  if (prefix !== written && texts.length > 1)
    return [texts, texts.every((text) => text.startsWith(written)) ? written : prefix];
  return [texts, written];
}

function escapeBlanks(text: string): string {
  return text.replace(/[\s\\"'#*?[\]{}]/g, '\\$&');
}

function escapeIn(text: string, quote: string): string {
  return text.replace(/[\\*?[\]{}]/g, '\\$&').replaceAll(quote, `\\${quote}`);
}

const listLocal: RemoteLister = async (directory) => {
  const folder = withHome(directory);
  try {
    return readdirSync(folder).map((name) => ({ name, isDirectory: isDirectory(join(folder, name)) }));
  } catch {
    return [];
  }
};

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
