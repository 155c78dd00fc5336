/** Commands that only a session has: those of `sftp` for its directories, and some under the names that `sftp` has. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { localMatches, withHome } from '../addresses/local-names.js';
import { move } from '../commands/change.js';
import type { Context, OperandSpec } from '../commands/command.js';
import { allMatches, remoteFile } from '../commands/places.js';
import { COMMANDS, findCommand } from '../commands/table.js';
import { LocalFileError } from '../output/exit-codes.js';
import { UsageError } from '../output/usage-error.js';
import type { SessionCall, SessionCommand } from './session-command.js';
import { plainText } from './words.js';

const REMOTE: OperandSpec = { name: 'path', side: 'remote' };
const LOCAL: OperandSpec = { name: 'path', side: 'local' };

/** The one word that a command takes, or none. */
function only(words: readonly string[], usage: string): string | undefined {
  if (words.length > 1) throw new UsageError(`Too many arguments: ${usage}`);
  return words[0];
}

function needed(word: string | undefined, usage: string): string {
  if (word === undefined || word === '') throw new UsageError(`An argument is missing: ${usage}`);
  return word;
}

/** Runs a command of the table under another name. */
function as(name: string, more: Readonly<Record<string, unknown>> = {}): SessionCommand['run'] {
  return async ({ session, context, words }) => {
    const spec = findCommand(name);
    if (spec !== undefined) await session.runSpec(spec, words, context, more);
  };
}

export const SESSION_COMMANDS: readonly SessionCommand[] = [
  {
    name: 'cd',
    aliases: ['chdir'],
    text: 'change the directory on the server',
    usage: 'cd [PATH]',
    operands: [REMOTE],
    run: async ({ session, context, words }) => {
      const word = only(words, 'cd [PATH]');
      if (word === undefined) return session.changeDirectory('', context.signal);
      const [match] = await allMatches(context, [word]);
      await session.changeDirectory(match?.text ?? word, context.signal);
    },
  },
  {
    name: 'pwd',
    text: 'show the directory on the server',
    usage: 'pwd',
    operands: [],
    run: async ({ session, context: { output, signal } }) => {
      const connection = await session.connection();
      const path = session.directory ?? (await connection.pwd({ signal }));
      output.json({ type: 'directory', command: 'pwd', path });
      output.line(output.name(path));
    },
  },
  {
    name: 'lcd',
    aliases: ['lchdir'],
    text: 'change the directory on this computer',
    usage: 'lcd [PATH]',
    operands: [LOCAL],
    run: async ({ words }) => {
      const [path = homedir()] = localMatches(only(words, 'lcd [PATH]') ?? homedir());
      process.chdir(path);
    },
  },
  {
    name: 'lpwd',
    text: 'show the directory on this computer',
    usage: 'lpwd',
    operands: [],
    run: async ({ context: { output } }) => {
      output.json({ type: 'directory', command: 'lpwd', path: process.cwd() });
      output.line(output.name(process.cwd()));
    },
  },
  {
    name: 'lls',
    text: 'list a directory on this computer, with the ls of the system',
    usage: 'lls [ARGUMENTS]',
    operands: [LOCAL],
    run: async (call) => {
      const paths = call.words.flatMap((word) => (word.startsWith('-') ? [word] : localMatches(word)));
      const [program, first] = process.platform === 'win32' ? ['cmd', ['/c', 'dir']] : ['ls', []];
      await runLocally(call, program, [...first, ...paths]);
    },
  },
  {
    name: 'lmkdir',
    text: 'make a directory on this computer',
    usage: 'lmkdir PATH',
    operands: [LOCAL],
    run: async ({ words }) => {
      mkdirSync(withHome(plainText(needed(only(words, 'lmkdir PATH'), 'lmkdir PATH'))));
    },
  },
  {
    name: 'lumask',
    text: 'set the umask on this computer',
    usage: 'lumask UMASK',
    operands: [],
    run: async ({ words, context }) => {
      const word = needed(only(words, 'lumask UMASK'), 'lumask UMASK');
      if (!/^[0-7]{1,4}$/.test(word))
        throw new UsageError(`'${word}' is not a umask: write octal digits as 022`);
      process.umask(Number.parseInt(word, 8));
      context.output.say(`Local umask: ${word.padStart(3, '0')}`, 2);
    },
  },
  {
    name: 'rename',
    text: 'rename exactly so; a file that exists is replaced',
    usage: 'rename OLD NEW',
    operands: [REMOTE, REMOTE],
    run: async ({ context, words }) => {
      const [from, to] = await twoPaths(context, words, 'rename OLD NEW');
      await move(from.connection, from.path, to.path, { signal: context.signal, replaces: true });
    },
  },
  {
    name: 'ln',
    text: 'make a link; with -s a symbolic one',
    usage: 'ln [-s] OLD NEW',
    operands: [REMOTE, REMOTE],
    run: async ({ context, words }) => {
      const isSymbolic = words[0] === '-s' || words[0] === '--symbolic';
      await link(context, isSymbolic ? words.slice(1) : words, isSymbolic);
    },
  },
  {
    name: 'symlink',
    text: 'make a symbolic link',
    usage: 'symlink OLD NEW',
    operands: [REMOTE, REMOTE],
    run: ({ context, words }) => link(context, words, true),
  },
  {
    name: 'chgrp',
    text: 'change the group, by its number',
    usage: 'chgrp GROUP PATH…',
    operands: [
      { name: 'group', side: 'text' },
      { ...REMOTE, isRepeated: true },
    ],
    run: async (call) => {
      const words = call.words.filter((word) => word !== '-h');
      const [group = '', ...paths] = words;
      if (!/^\d+$/.test(group)) throw new UsageError(`'${group}' is not the number of a group`);
      await as('chown')({ ...call, words: [`:${group}`, ...paths] });
    },
  },
  {
    name: 'reget',
    text: 'resume a download',
    usage: 'reget REMOTE [LOCAL]',
    operands: [REMOTE, LOCAL],
    run: as('get', { resume: true }),
  },
  {
    name: 'reput',
    text: 'resume an upload',
    usage: 'reput LOCAL [REMOTE]',
    operands: [LOCAL, REMOTE],
    run: as('put', { resume: true }),
  },
  {
    name: 'progress',
    text: 'show progress, or not',
    usage: 'progress',
    operands: [],
    run: async ({ session, context }) => {
      session.run.progress.isShown = !session.run.progress.isShown;
      context.output.say(`Progress is ${session.run.progress.isShown ? 'shown' : 'not shown'}`);
    },
  },
  {
    name: 'version',
    text: 'show the version of the protocol',
    usage: 'version',
    operands: [],
    run: async ({ context }) => context.output.line('SFTP protocol version 3'),
  },
  {
    name: 'help',
    aliases: ['?'],
    text: 'list the commands; COMMAND --help tells more',
    usage: 'help [COMMAND]',
    operands: [],
    run: async ({ session, context, words }) => {
      const spec = words[0] === undefined ? undefined : findCommand(words[0]);
      if (spec !== undefined) await session.runSpec(spec, ['--help'], context);
      else for (const line of helpLines()) context.output.line(line);
    },
  },
  {
    name: '!',
    text: 'run a command of this computer; alone: a shell',
    usage: '!COMMAND',
    operands: [],
    run: async (call) => {
      const command = call.words.join(' ');
      const shell = process.env.SHELL ?? (process.platform === 'win32' ? 'cmd' : '/bin/sh');
      const flag = /cmd(?:\.exe)?$/i.test(shell) ? '/c' : '-c';
      await runLocally(call, shell, command === '' ? [] : [flag, command]);
    },
  },
  { name: 'exit', aliases: ['bye', 'quit'], text: 'leave', usage: 'exit', operands: [], run: async () => {} },
];

export function findSessionCommand(name: string): SessionCommand | undefined {
  return SESSION_COMMANDS.find((command) => command.name === name || command.aliases?.includes(name));
}

/** What can be typed, each with its words. */
function helpLines(): readonly string[] {
  const table = COMMANDS.filter(({ load, isHidden }) => load !== undefined && isHidden !== true).map(
    ({ name, text }) => [name, text] as const,
  );
  const own = SESSION_COMMANDS.map(({ usage, text }) => [usage, text] as const);
  const rows = [...table, ...own].sort(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`);
}

async function twoPaths(context: Context, words: readonly string[], usage: string) {
  if (words.length !== 2) throw new UsageError(`Two paths are needed: ${usage}`);
  const [from = '', to = ''] = words;
  return [await remoteFile(context, from), await remoteFile(context, to)] as const;
}

async function link(context: Context, words: readonly string[], isSymbolic: boolean): Promise<void> {
  const [from, to] = await twoPaths(context, words, isSymbolic ? 'ln -s OLD NEW' : 'ln OLD NEW');
  const how = isSymbolic ? 'symlink' : 'hardlink';
  await from.connection[how](isSymbolic ? plainText(words[0] ?? '') : from.path, to.path, {
    signal: context.signal,
  });
}

/** As for `sftp`, a program that fails is told of and does not end a batch. */
async function runLocally(
  { context }: SessionCall,
  program: string,
  words: readonly string[],
): Promise<void> {
  context.output.flush();
  const child = spawn(program, words, { stdio: 'inherit' });
  const [code] = (await Promise.race([
    once(child, 'close'),
    once(child, 'error').then(([error]) => {
      throw new LocalFileError('ENOENT', `${program} cannot be started: ${(error as Error).message}`);
    }),
  ])) as [number | null];
  if (code !== 0)
    context.output.say(`The command ended with ${code === null ? 'a signal' : `exit code ${code}`}`);
}
