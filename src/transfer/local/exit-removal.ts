/**
 * Files that must not outlive the program: they are removed when it exits, and when SIGINT, SIGTERM or SIGHUP
 * ends it. A program that listens for such a signal itself decides itself, and only its exit counts. Against
 * `kill -9` nothing helps; what that leaves, the next run finds.
 */
import type { Buffer } from 'node:buffer';
import { unlinkSync } from 'node:fs';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

const files = new Set<Buffer>();

/** Listens only while there is something to remove. The result calls it off. */
export function removeOnExit(file: Buffer): () => void {
  if (files.size === 0) listen();
  files.add(file);
  return () => {
    if (files.delete(file) && files.size === 0) leave();
  };
}

function listen(): void {
  process.on('exit', removeAll);
  for (const signal of SIGNALS) process.on(signal, endBy);
}

function leave(): void {
  process.off('exit', removeAll);
  for (const signal of SIGNALS) process.off(signal, endBy);
}

/** Our listener has taken the signal's effect away, so it is sent once more. */
function endBy(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  removeAll();
  leave();
  process.kill(process.pid, signal);
}

function removeAll(): void {
  for (const file of files) {
    try {
      unlinkSync(file);
    } catch {
      // It is gone already, or not ours to remove any more.
    }
  }
  files.clear();
}
