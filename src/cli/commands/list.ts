/** `ls` */
import { Buffer } from 'node:buffer';
import type { Connection, FileAttributes } from '../../index.js';
import { parseAddress } from '../addresses/address.js';
import type { OptionValues } from '../options/option-table.js';
import { alignColumns, coloured, entryJson, longColumns } from '../output/entries.js';
import type { CommandRun, Context, FoundPath, RemotePlace } from './command.js';
import { joinBytes, joinRemote, matchesOf, remotePlace } from './places.js';

/** What is shown of a directory, or a file that was named. */
interface Listed {
  /** As it is shown. */
  readonly text: string;
  readonly bytes: Uint8Array;
  /** The whole path. */
  readonly path: { readonly text: string; readonly bytes: Uint8Array };
  readonly attributes: FileAttributes;
}

export const runList: CommandRun = async (context, operands, values) => {
  const { outcome } = context;
  const wanted = operands.length === 0 ? ['.'] : operands;
  for (const [index, operand] of wanted.entries()) {
    await outcome.attempt(operand, async () => {
      const place = await remotePlace(context, operand);
      const found = await matchesOf(place, context.signal);
      const groups = await lookAt(context, place, found, values);
      const hasTitles = (groups.length > 1 || wanted.length > 1) && values.null !== true;
      showGroups(context, groups, { values, hasTitles, isFirst: index === 0 });
      outcome.did(groups.reduce((sum, { entries }) => sum + entries.length, 0));
    });
  }
};

function showGroups(
  context: Context,
  groups: readonly Group[],
  {
    values,
    hasTitles,
    isFirst,
  }: { readonly values: OptionValues; readonly hasTitles: boolean; readonly isFirst: boolean },
): void {
  for (const [index, { title, entries }] of groups.entries()) {
    const space = index > 0 || !isFirst ? '\n' : '';
    if (hasTitles && title !== '') context.output.line(`${space}${context.output.name(title)}:`);
    show(context, entries, values);
  }
}

interface Group {
  readonly title: string;
  readonly entries: readonly Listed[];
}

/** Files that were named come first and together; each directory has a list of its own. */
async function lookAt(
  { signal, outcome }: Context,
  place: RemotePlace,
  found: readonly FoundPath[],
  values: OptionValues,
): Promise<readonly Group[]> {
  const files: Listed[] = [];
  const groups: Group[] = [];
  const look = async ({ path, text }: FoundPath): Promise<void> => {
    const itself = await place.connection.lstat(path, { signal });
    const attributes = itself.isSymbolicLink()
      ? await place.connection.stat(path, { signal }).catch(() => itself)
      : itself;
    if (!attributes.isDirectory() || values.directory === true) {
      const bytes = Buffer.from(path);
      files.push({ text, bytes, path: { text, bytes }, attributes: itself });
      return;
    }
    const entries = await place.connection.listdirAttr(path, { signal });
    const shown = entries.map((entry) => {
      const bytes = joinBytes(path, entry.filenameBytes);
      return {
        text: entry.filename,
        bytes: entry.filenameBytes,
        path: { text: bytes.toString('utf8'), bytes },
        attributes: entry,
      };
    });
    groups.push({ title: text, entries: sorted(shown.filter(isShown(values)), values) });
  };
  for (const each of found) {
    if (found.length === 1) await look(each);
    else await outcome.attempt(each.text, () => look(each));
  }
  return files.length === 0 ? groups : [{ title: '', entries: sorted(files, values) }, ...groups];
}

function isShown({ all }: OptionValues): (entry: Listed) => boolean {
  return ({ text }) => all === true || !text.startsWith('.');
}

function sorted(
  entries: readonly Listed[],
  { unsorted, byTime, bySize, reverse }: OptionValues,
): readonly Listed[] {
  const list = [...entries];
  if (unsorted !== true) {
    if (byTime === true) list.sort((a, b) => (b.attributes.mtime ?? 0) - (a.attributes.mtime ?? 0));
    else if (bySize === true) list.sort((a, b) => (b.attributes.size ?? 0) - (a.attributes.size ?? 0));
  }
  return reverse === true ? list.reverse() : list;
}

function show({ output }: Context, entries: readonly Listed[], values: OptionValues): void {
  for (const { path, attributes } of entries) output.json(entryJson('ls', path, attributes));
  if (output.settings.json) return;
  if (values.long === true || values.numeric === true) {
    const style = { human: values.human === true, numeric: values.numeric === true };
    const lines = alignColumns(entries.map(({ attributes }) => longColumns(attributes, style)));
    for (const [index, { text, bytes, attributes }] of entries.entries()) {
      const name = output.isTerminal ? Buffer.from(coloured(output, output.name(text), attributes)) : bytes;
      output.line(Buffer.concat([Buffer.from(`${lines[index]} `), name]));
    }
    return;
  }
  if (output.isTerminal && values.one !== true && values.null !== true) inColumns(output, entries);
  else for (const { text, bytes } of entries) output.path(text, bytes);
}

/** As `ls` does it on a terminal. */
function inColumns(output: Context['output'], entries: readonly Listed[]): void {
  const names = entries.map(({ text, attributes }) => {
    const name = output.name(text);
    return { width: name.length, shown: coloured(output, name, attributes) };
  });
  const width = Math.max(1, ...names.map((name) => name.width)) + 2;
  const columns = Math.max(1, Math.floor((process.stdout.columns || 80) / width));
  const rows = Math.ceil(names.length / columns);
  for (let row = 0; row < rows; row += 1) {
    const cells = names.filter((_, index) => index % rows === row);
    output.line(
      cells
        .map((cell, at) => (at < cells.length - 1 ? cell.shown + ' '.repeat(width - cell.width) : cell.shown))
        .join(''),
    );
  }
}

/** A person who has pressed Tab waits for it. */
const COMPLETION_MS = 5000;

/** Each link is followed at the same time. */
const LINK_MS = 1000;

/** What the completion of a shell asks for: the addresses on a server that begin with what was typed. */
export const runComplete: CommandRun = async (context, [typed = '']) => {
  const address = parseAddress(typed);
  if (address.kind !== 'remote') return;
  // Programs on the way to the server, as ssh in a ProxyCommand, are to ask nothing either.
  Object.assign(process.env, { SSH_ASKPASS: 'false', SSH_ASKPASS_REQUIRE: 'force' });
  const start = address.path.slice(address.path.lastIndexOf('/') + 1);
  const url = /^\w+:\/\/[^/]+\/(?:.*\/)?/s.exec(typed)?.[0];
  if (url === undefined && /^\w+:\/\//.test(typed)) return;
  const server = url ?? typed.slice(0, typed.length - start.length);
  const { signal } = context;
  const { connection, path } = await remotePlace(context, server);
  const entries = (await connection.listdirAttr(path, { signal, timeout: COMPLETION_MS })).filter(
    ({ filename }) =>
      filename.startsWith(start) &&
      (start !== '' || !filename.startsWith('.')) &&
      // Nothing of the kind can be typed.
      !/[\p{Cc}\uFFFD]/u.test(filename),
  );
  const lines = entries.map(async (entry) => {
    const { filename } = entry;
    const leadsDown =
      entry.isDirectory() ||
      (entry.isSymbolicLink() && (await isDirectory(connection, joinRemote(path, filename), signal)));
    return `${server}${url === undefined ? filename : encodeURIComponent(filename)}${leadsDown ? '/' : ''}`;
  });
  for (const line of await Promise.all(lines)) if (line.startsWith(typed)) context.output.line(line);
};

/** Not if it cannot be told in time. */
function isDirectory(connection: Connection, path: string, signal: AbortSignal): Promise<boolean> {
  return connection.isdir(path, { signal, timeout: LINK_MS }).catch(() => false);
}
