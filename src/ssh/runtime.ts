/** What runs this program where it is not Node.js: for the few places in which it cannot do what Node.js does. */
export const IS_BUN = process.versions.bun !== undefined;
export const IS_DENO = 'Deno' in globalThis;
