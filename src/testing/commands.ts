import type { Readable } from 'node:stream';
import type { ServerChannel } from 'ssh2';

export interface CommandResult {
  readonly stdout?: string | Uint8Array;
  readonly stderr?: string | Uint8Array;
  /** 0 unless given. */
  readonly exitCode?: number;
}

/**
 * Runs what a client asks for with `ssh host command`. Nothing is executed but this function.
 *
 * @example
 * const commands: CommandHandler = (command) =>
 *   command === 'uname' ? { stdout: 'Linux\n' } : { stderr: 'not found\n', exitCode: 127 };
 */
export type CommandHandler = (
  command: string,
  context: { readonly username: string; readonly stdin: Readable },
) => CommandResult | Promise<CommandResult>;

/** Runs the handler and sends what it gives. Never rejects: a handler that throws is a command that failed. */
export async function runCommand(
  channel: ServerChannel,
  handler: CommandHandler,
  command: string,
  username: string,
): Promise<void> {
  channel.on('error', () => {});
  const result = await resultOf(handler, command, { username, stdin: channel });
  channel.resume();
  if (result.stderr !== undefined) channel.stderr.write(result.stderr);
  if (result.stdout !== undefined) channel.write(result.stdout);
  channel.exit(result.exitCode ?? 0);
  channel.end();
}

async function resultOf(
  handler: CommandHandler,
  command: string,
  context: { username: string; stdin: Readable },
): Promise<CommandResult> {
  try {
    return await handler(command, context);
  } catch (error) {
    return { stderr: `${error instanceof Error ? error.message : 'The command failed'}\n`, exitCode: 255 };
  }
}
