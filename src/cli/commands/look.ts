/** `stat`, `cat`, `df` */
import { Buffer } from 'node:buffer';
import { entryJson, longColumns } from '../output/entries.js';
import { shortBytes } from '../output/human.js';
import type { CommandRun } from './command.js';
import { remotePlace } from './places.js';
import { remoteTargets } from './targets.js';

export const runStat: CommandRun = async (context, operands, values) => {
  const { output, outcome, signal } = context;
  for await (const { place, path, text } of remoteTargets(context, operands, values)) {
    await outcome.attempt(place.show(text), async () => {
      const look = values.follow === true ? 'stat' : 'lstat';
      const attributes = await place.connection[look](path, { signal });
      output.json(entryJson('stat', { text, bytes: Buffer.from(path) }, attributes));
      const [mode = '', , owner = '', group = ''] = longColumns(attributes, { human: false, numeric: true });
      const time = (seconds: number | undefined) =>
        seconds === undefined ? '?' : new Date(seconds * 1000).toISOString();
      const digits = ((attributes.mode ?? 0) & 0o7777).toString(8).padStart(4, '0');
      output.line(
        [
          `  Path: ${output.name(text)}`,
          `  Type: ${attributes.type}`,
          `  Size: ${attributes.size ?? '?'}`,
          `  Mode: ${digits} (${mode})`,
          ` Owner: ${owner}:${group}`,
          `Access: ${time(attributes.atime)}`,
          `Modify: ${time(attributes.mtime)}`,
        ].join('\n'),
      );
      outcome.did();
    });
  }
};

export const runCat: CommandRun = async (context, operands, values) => {
  const { output, outcome, signal } = context;
  for await (const { place, path, text } of remoteTargets(context, operands, values)) {
    await outcome.attempt(place.show(text), async () => {
      const sink = { write: (chunk: Uint8Array) => output.content(chunk) };
      const bytes = await place.connection.getfo(path, sink, { signal });
      outcome.did(1, bytes);
    });
  }
};

export const runDf: CommandRun = async (context, operands, values) => {
  const { output, outcome, signal } = context;
  for (const operand of operands.length === 0 ? ['.'] : operands) {
    await outcome.attempt(operand, async () => {
      const { connection, path } = await remotePlace(context, operand);
      const figures = await connection.statvfs(path, { signal });
      const { size, used, available, usedPercent, files, usedFiles, freeFiles, isReadOnly } = figures;
      output.json({
        type: 'filesystem',
        command: 'df',
        path,
        size,
        used,
        available,
        usedPercent,
        files,
        usedFiles,
        freeFiles,
        isReadOnly,
      });
      const isOfFiles = values.inodes === true;
      const write = (value: number): string =>
        isOfFiles
          ? String(value)
          : values.human === true
            ? shortBytes(value)
            : String(Math.ceil(value / 1024));
      const filesPercent = files === 0 ? 0 : Math.ceil((usedFiles * 100) / files);
      const [titles, cells] = isOfFiles
        ? [
            ['Inodes', 'Used', 'Free', '%Used'],
            [write(files), write(usedFiles), write(freeFiles), `${filesPercent}%`],
          ]
        : [
            ['Size', 'Used', 'Avail', '%Used'],
            [write(size), write(used), write(available), `${usedPercent}%`],
          ];
      const widths = titles.map((title, index) => Math.max(title.length, cells[index]?.length ?? 0));
      for (const row of [titles, cells]) {
        const line = row.map((cell, index) => cell.padStart(widths[index] ?? 0)).join('  ');
        output.line(row === titles ? `${line}  Path` : `${line}  ${output.name(path)}`);
      }
      outcome.did();
    });
  }
};
