/**
 * The lists of ssh_config(5) that begin with `+` (also these), `-` (all but these) or `^` (these first), applied to
 * a list that is the default; and lists with wildcards, which stand for those that are supported.
 */
import { matches, parseWildcards } from '../../shared/pattern.js';

/** Gives the names that are meant, best first, without repeats; those that are not supported are left out. */
export function applyAlgorithmList(
  list: string,
  defaults: readonly string[],
  supported: readonly string[] = defaults,
): readonly string[] {
  const names = (text: string): readonly string[] => text.split(',').filter((name) => name !== '');
  const expand = (wanted: readonly string[]): readonly string[] =>
    wanted.flatMap((pattern) => supported.filter((name) => matches(parseWildcards(pattern), name)));
  const rest = names(list.slice(1));
  const without = (): readonly string[] =>
    defaults.filter((name) => !rest.some((pattern) => matches(parseWildcards(pattern), name)));
  const operators: Readonly<Record<string, () => readonly string[]>> = {
    '+': () => [...defaults, ...expand(rest)],
    '-': without,
    '^': () => [...expand(rest), ...defaults],
  };
  const apply = operators[list.charAt(0)] ?? (() => expand(names(list)));
  return [...new Set(apply())];
}
