/**
 * The steps of a mirror that is too large to be kept, in parts that are carried out one after the other. What is deleted
 * comes from the bottom: a directory after its content, and before what takes its place.
 */
import { isRestricted } from './mirror-modes.js';
import { keyOf, type MirrorStep } from './mirror-step.js';

/** What is carried out of a plan: what is made, what the source does not have, or both. */
export type Work = 'copy' | 'delete' | 'all';

export interface MirrorPart {
  readonly steps: readonly MirrorStep[];
  /** Directories above, which may have to be opened for it again. */
  readonly parents: readonly MirrorStep[];
  readonly work: Work;
}

const PART_STEPS = 10_000;

/** A directory that is deleted after its content. */
interface Pending {
  readonly key: string;
  readonly steps: MirrorStep[];
}

export async function* partsOf(
  steps: AsyncIterable<MirrorStep>,
  work: Exclude<Work, 'all'>,
  partSteps: number = PART_STEPS,
): AsyncGenerator<MirrorPart, void, undefined> {
  const cut = new Cutter(work);
  for await (const step of steps) {
    cut.take(step);
    if (cut.length >= partSteps) yield cut.part();
  }
  cut.end();
  yield cut.part();
}

/** Puts steps into the order in which they can be carried out, as they come. */
export class Cutter {
  readonly #work: Exclude<Work, 'all'>;
  readonly #pending: Pending[] = [];
  /** The directories above whose permissions matter. */
  readonly #above: MirrorStep[] = [];
  #parents: readonly MirrorStep[] = [];
  #steps: MirrorStep[] = [];

  constructor(work: Exclude<Work, 'all'>) {
    this.#work = work;
  }

  get length(): number {
    return this.#steps.length;
  }

  take(step: MirrorStep): void {
    const key = keyOf(step);
    const pending = this.#pending.at(-1);
    if (pending?.key === key) {
      pending.steps.push(step);
      return;
    }
    this.#leave(key);
    if (step.type === 'directory' && step.mode !== undefined) {
      if (isRestricted(step)) this.#above.push(step);
    } else if (!this.#belongs(step)) return;
    if (step.action === 'delete' && step.type === 'directory') {
      // What takes its place has the same key, and waits for it.
      this.#pending.push({ key, steps: [step] });
      return;
    }
    this.#steps.push(step);
  }

  end(): void {
    this.#leave(undefined);
  }

  part(): MirrorPart {
    const part = { steps: this.#steps, parents: this.#parents, work: this.#work };
    this.#steps = [];
    this.#parents = [...this.#above];
    return part;
  }

  #belongs({ action, reason }: MirrorStep): boolean {
    if (action === 'keep' || action === 'skip') return false;
    return (action === 'delete' && reason !== 'type') === (this.#work === 'delete');
  }

  /** What is above the key stays; `undefined`: nothing. */
  #leave(key: string | undefined): void {
    const isLeft = (above: string | undefined) => above !== undefined && !key?.startsWith(`${above}/`);
    for (let last = this.#pending.at(-1); isLeft(last?.key); last = this.#pending.at(-1)) {
      this.#steps.push(...(this.#pending.pop()?.steps ?? []));
    }
    for (
      let last = this.#above.at(-1);
      last !== undefined && isLeft(keyOf(last));
      last = this.#above.at(-1)
    ) {
      this.#above.pop();
    }
  }
}

/** Whether a key comes after another one in the order of the steps: a directory before its content. */
export function isAfter(key: string, other: string): boolean {
  return key.replaceAll('/', '\0') > other.replaceAll('/', '\0');
}
