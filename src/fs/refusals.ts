/**
 * What a network cannot do: wait without letting anything else run, and tell of changes. The functions are there all the
 * same: where one is missing, some packages take that of the local disk.
 */
import nodeFs from 'node:fs';
import { systemError } from './base/node-error.js';
import type { Refusal } from './types.js';

/** Of newer versions of Node, beside those of the one that runs. */
const NEWER = ['globSync', 'mkdtempDisposableSync', 'statfsSync', 'cpSync', 'opendirSync'] as const;

function refusal(name: string, advice: string): Refusal {
  return () => {
    throw systemError('ENOSYS', { syscall: `${name} on a server: ${advice}` });
  };
}

export function refusals(): Readonly<Record<string, Refusal>> {
  const names = new Set([...Object.keys(nodeFs).filter((name) => name.endsWith('Sync')), ...NEWER]);
  const waiting = [...names].map((name) => {
    const other = name.slice(0, -'Sync'.length);
    const isOfPromises = other in nodeFs.promises || other === 'glob';
    const advice = isOfPromises ? `use promises.${other}, or ${other} with a callback` : `use ${other}`;
    return [name, refusal(name, advice)] as const;
  });
  const watching = ['watch', 'watchFile'].map(
    (name) => [name, refusal(name, 'use the watch method of the connection')] as const,
  );
  const all = Object.fromEntries([...waiting, ...watching]);
  const { realpathSync } = all;
  return realpathSync === undefined
    ? all
    : { ...all, realpathSync: Object.assign(realpathSync, { native: realpathSync }) };
}
