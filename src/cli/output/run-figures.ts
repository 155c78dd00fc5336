/** What is told of a run that is under way. */

export type ProgressMode = 'auto' | 'bar' | 'log' | 'json' | 'none';

/** What a display shows. */
export interface RunFigures {
  readonly bytes: number;
  readonly total: number;
  readonly files: number;
  readonly filesTotal: number;
  /** Bytes per second over the last seconds. */
  readonly rate: number;
  /** Milliseconds that are left, as far as can be told. */
  readonly remaining: number | undefined;
  readonly elapsed: number;
  /** The file that moved last. */
  readonly path: string;
}
