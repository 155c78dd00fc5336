/** Options objects are looked at as a whole: a misspelt name or a wrong type is an error and never passed over. */
import { kindOf } from './arguments.js';
import { printable } from './printable.js';

/** What an option must be where it is given; `checked`: the code that uses it checks it. */
type Kind =
  | 'boolean'
  | 'number'
  | 'string'
  | 'function'
  | 'object'
  | 'signal'
  | 'timeout'
  | 'atomic'
  | 'checked';

/** Every option of a type with its kind, so that no option can be forgotten. */
export type OptionTable<T> = { readonly [K in keyof T]-?: Kind };

/** Options of a call that asks the server something. */
export interface CallOptions {
  /** Rejects the call with the signal's reason; the connection stays usable. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds that the server may take for each answer; then the call rejects with a `TimeoutError`, and the connection
   * stays usable; the server may still do what it was asked. A call that asks several times, as a listing or a transfer, may take longer:
   * `signal: AbortSignal.timeout(ms)` limits the whole of it. Default: `callTimeout` of the connection.
   */
  readonly timeout?: number | undefined;
}

export const CALL_OPTIONS: OptionTable<CallOptions> = { signal: 'signal', timeout: 'timeout' };

/**
 * An argument that may be left out, and the options behind it: `(path, value, options)` or `(path, options)`.
 *
 * @throws TypeError the options stand in both places
 */
export function splitOptions<T, O extends object>(
  value: T | O | null | undefined,
  options: O | undefined,
  of: string,
): readonly [value: T | undefined, options: Partial<O>] {
  if (!isOptions(value)) return [(value ?? undefined) as T | undefined, options ?? {}];
  if (options === undefined) return [undefined, value as O];
  throw new TypeError(`The options of ${of} are given twice: give them as the last argument`);
}

/** Anything that is an object and neither bytes nor a list. */
function isOptions(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Array.isArray(value);
}

interface Context {
  /** What the options are for, as `mirror` or `connect`. */
  readonly of: string;
  /** What options of other packages are called here, or what to do in their place. */
  readonly elsewhere?: Readonly<Record<string, string>> | undefined;
}

const TESTS: Readonly<
  Record<Exclude<Kind, 'checked'>, readonly [what: string, test: (value: unknown) => boolean]>
> = {
  boolean: ['true or false', (value) => typeof value === 'boolean'],
  number: ['a number', (value) => typeof value === 'number'],
  string: ['a string', (value) => typeof value === 'string'],
  function: ['a function', (value) => typeof value === 'function'],
  object: ['an object', (value) => typeof value === 'object' && value !== null],
  signal: ['an AbortSignal', isSignal],
  timeout: ['a number of milliseconds', (value) => typeof value === 'number'],
  atomic: ["true, false or 'preferred'", (value) => typeof value === 'boolean' || value === 'preferred'],
};

/**
 * Looks at the options of a call before anything else is done. An option that is `undefined` is not given.
 *
 * @throws TypeError the options are not an object, one of them has an unknown name, or is of a wrong type
 */
export function checkOptions<T extends object>(
  options: T,
  table: OptionTable<T>,
  { of, elsewhere = {} }: Context,
): void {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError(`The options of ${of} must be an object, not ${kindOf(given)}`);
  }
  const kinds: Readonly<Record<string, Kind>> = table;
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) throw unknownOption(name, Object.keys(kinds), { of, elsewhere });
    if (kind === 'checked') continue;
    const [what, test] = TESTS[kind];
    if (!test(value))
      throw new TypeError(`The option ${name} of ${of} must be ${what}, not ${kindOf(value)}`);
    if (kind === 'timeout' && !(Number(value) > 0)) {
      throw new RangeError(`The option ${name} of ${of} must be greater than 0, not ${value}`);
    }
  }
}

function unknownOption(name: string, known: readonly string[], { of, elsewhere = {} }: Context): TypeError {
  const shown = `Unknown option '${printable(name, 60)}' of ${of}`;
  const advice = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined;
  if (advice !== undefined) return new TypeError(`${shown}: ${advice}`);
  const near = nearest(name, known);
  if (near !== undefined) return new TypeError(`${shown}: did you mean '${near}'?`);
  return new TypeError(`${shown}; the options are ${[...known].sort().join(', ')}`);
}

/** The known name that a slip of the fingers, another case or another habit of writing makes of it. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const plain = simplify(name);
  const found = known
    .map((each) => ({ each, distance: plain === simplify(each) ? 0 : editDistance(plain, simplify(each)) }))
    .sort((left, right) => left.distance - right.distance)[0];
  return found !== undefined && found.distance <= Math.min(2, Math.floor(plain.length / 3))
    ? found.each
    : undefined;
}

function simplify(name: string): string {
  return name.slice(0, 60).replace(/[-_]/g, '').toLowerCase();
}

/** How many letters differ, are missing or are too many (Levenshtein's distance). */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (const [at, letter] of [...left].entries()) {
    const next = [at + 1];
    for (let to = 0; to < right.length; to += 1) {
      const replaced = (row[to] ?? 0) + (letter === right[to] ? 0 : 1);
      next.push(Math.min(replaced, (row[to + 1] ?? 0) + 1, (next[to] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}

/** Also one of another realm, as test runners make them. */
function isSignal(value: unknown): boolean {
  const { aborted, addEventListener } = (value ?? {}) as { aborted?: unknown; addEventListener?: unknown };
  return typeof aborted === 'boolean' && typeof addEventListener === 'function';
}
