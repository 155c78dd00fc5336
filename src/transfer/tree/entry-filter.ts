/** The filters of callers: one meaning wherever entries are chosen. */
import { kindOf } from '../../shared/arguments.js';

/**
 * Chooses among entries: true keeps one, false leaves it out; also as a promise. Any other answer is a `TypeError`, which
 * ends the call: nothing is copied, left out or deleted because of a forgotten `return`.
 */
export type EntryFilter<Entry> = (entry: Entry) => boolean | Promise<boolean>;

/** @throws TypeError the filter has answered with something else; and what the filter throws */
export async function passes<Entry>(filter: EntryFilter<Entry>, entry: Entry): Promise<boolean> {
  const answer: unknown = await filter(entry);
  if (typeof answer === 'boolean') return answer;
  throw new TypeError(
    `The filter must return true or false, or a promise of one of them, not ${kindOf(answer)}`,
  );
}
