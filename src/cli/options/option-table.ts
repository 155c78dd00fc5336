/** What a command line may hold, as data: the parser, help, completion and the manual are made from it. */

/** One option. */
export interface OptionSpec {
  /** As it is written: `-r, --recursive`, `--retry <n>`. */
  readonly flags: string;
  readonly text: string;
  /** Makes a value of what was written; gets the value before it where the option may be given several times. */
  readonly parse?: ((text: string, before: never) => unknown) | undefined;
  readonly choices?: readonly string[] | undefined;
  /** What may follow is the name of a local file. */
  readonly isFile?: boolean | undefined;
  /** It is understood, and not shown. */
  readonly isHidden?: boolean | undefined;
}

/** The long name of an option, as its value is called: `-r, --recursive` is `recursive`. */
export function nameOf({ flags }: OptionSpec): string {
  const long = /--(?:no-)?([a-z\d-]+)/.exec(flags)?.[1] ?? '';
  return long.replace(/-([a-z\d])/g, (_, letter: string) => letter.toUpperCase());
}

/** `r` of `-r, --recursive`. */
export function letterOf({ flags }: OptionSpec): string | undefined {
  return /(?:^|, )-([^-\s,])(?:[, ]|$)/.exec(flags)?.[1];
}

/** `<n>` of `--retry <n>`. */
export function valueNameOf({ flags }: OptionSpec): string | undefined {
  return /<([^>]+)>/.exec(flags)?.[1];
}

/** The values of the options of one call, by their names. */
export type OptionValues = Readonly<Record<string, unknown>>;

/** Adds to a list: for options that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
