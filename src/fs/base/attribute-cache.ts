/** Attributes that have been asked for a moment ago. Off with 0 milliseconds, and emptied by every change of the view. */
import type { FileAttributes } from '../../wire/attributes.js';

/** Beyond that, what is oldest goes. */
const MAX_ENTRIES = 100_000;

interface Entry {
  readonly at: number;
  readonly attributes: Promise<FileAttributes>;
}

export class AttributeCache {
  readonly #ageMs: number;
  readonly #entries = new Map<string, Entry>();

  constructor(ageMs: number) {
    this.#ageMs = ageMs;
  }

  get isOn(): boolean {
    return this.#ageMs > 0;
  }

  /** What was known of the key not long ago, or what is asked for now. */
  get(key: string, ask: () => Promise<FileAttributes>): Promise<FileAttributes> {
    if (!this.isOn) return ask();
    const known = this.#entries.get(key);
    if (known !== undefined && performance.now() - known.at < this.#ageMs) return known.attributes;
    const attributes = ask();
    this.#put(key, attributes);
    attributes.catch(() => {
      if (this.#entries.get(key)?.attributes === attributes) this.#entries.delete(key);
    });
    return attributes;
  }

  /** What a listing has told. */
  note(key: string, attributes: FileAttributes): void {
    if (this.isOn) this.#put(key, Promise.resolve(attributes));
  }

  clear(): void {
    this.#entries.clear();
  }

  #put(key: string, attributes: Promise<FileAttributes>): void {
    this.#entries.delete(key);
    this.#entries.set(key, { at: performance.now(), attributes });
    if (this.#entries.size <= MAX_ENTRIES) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
