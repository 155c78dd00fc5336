/** What must not be shown: passwords and answers, taken out of whatever the other side says. */
import { printable } from '../printable.js';

/** What is shorter is in every text: to take it out would tell it. */
const MINIMUM_LENGTH = 4;

export class Redaction {
  readonly #secrets = new Set<string>();

  add(...secrets: readonly (string | undefined)[]): void {
    for (const secret of secrets) {
      if (secret !== undefined && secret.length >= MINIMUM_LENGTH) this.#secrets.add(secret);
    }
  }

  apply(text: string): string {
    let clean = text;
    for (const secret of this.#secrets) {
      clean = clean.replaceAll(secret, '***').replaceAll(printable(secret), '***');
    }
    return clean;
  }
}
