/** `wait`, `watch`, `exec` */
import { entryJson, pathJson } from '../output/entries.js';
import { Verdict } from '../output/exit-codes.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun } from './command.js';
import { remotePlace } from './places.js';
import { readInput, requireOperands } from './targets.js';

export const runWait: CommandRun = async (context, operands, values) => {
  const { outcome, output, signal } = context;
  requireOperands(operands, 1);
  if (operands.length > 1)
    throw new UsageError('wait takes one pattern; quote it, so that your shell leaves it alone');
  const { connection, path } = await remotePlace(context, operands[0] ?? '');
  const found = await connection.waitForFile(path, {
    signal,
    ...(typeof values.stable === 'number' ? { stableFor: values.stable } : {}),
    ...(typeof values.interval === 'number' ? { pollInterval: values.interval } : {}),
    ...(typeof values.waitFor === 'number' ? { timeout: values.waitFor } : {}),
  });
  outcome.did();
  output.json(entryJson('wait', { text: found.path, bytes: found.pathBytes }, found.attributes));
  output.path(found.path, found.pathBytes);
};

export const runWatch: CommandRun = async (context, operands, values) => {
  const { outcome, output, signal } = context;
  requireOperands(operands, 1);
  if (operands.length > 1) throw new UsageError('watch takes one directory');
  const { connection, path } = await remotePlace(context, operands[0] ?? '');
  const events = connection.watch(path, {
    signal,
    recursive: values.recursive === true,
    initial: values.initial === true,
    ...(typeof values.stable === 'number' ? { stableFor: values.stable } : {}),
    ...(typeof values.interval === 'number' ? { pollInterval: values.interval } : {}),
  });
  output.say(`Watching ${path}; Ctrl-C ends it`, 2);
  for await (const event of events) {
    outcome.did();
    const attributes = event.type === 'removed' ? event.previous : event.attributes;
    output.json({
      type: 'event',
      command: 'watch',
      event: event.type,
      ...pathJson({ text: event.path, bytes: event.pathBytes }),
      kind: attributes.type,
      size: attributes.size,
      mtime: attributes.mtime,
    });
    output.line(`${event.type} ${output.name(event.path)}`);
    output.flush();
  }
};

export const runExec: CommandRun = async (context, operands, values) => {
  const { outcome, output, signal } = context;
  requireOperands(operands, 2);
  const [server = '', ...words] = operands;
  const { connection } = await remotePlace(context, server);
  const input = values.stdin === true ? await readInput(signal) : undefined;
  const command = words.join(' ');
  const result = await connection.run(command, {
    signal,
    encoding: 'buffer',
    ...(input === undefined ? {} : { input }),
  });
  outcome.did();
  const { exitCode, signal: ended, stdout, stderr } = result;
  output.json({
    type: 'output',
    command: 'exec',
    exitCode,
    signal: ended,
    stdout: stdout.toString('utf8'),
    stderr: stderr.toString('utf8'),
  });
  if (!output.settings.json) {
    await output.content(stdout);
    process.stderr.write(stderr);
  }
  if (exitCode !== 0) {
    const how =
      exitCode === null ? `was ended by ${ended ?? 'a signal'}` : `ended with exit code ${exitCode}`;
    throw new Verdict('COMMAND_FAILED', exitCode ?? 128, `The command ${how}`);
  }
};
