/** The snippets of a page in Markdown. */

export interface Snippet {
  /** The heading that is above it. */
  readonly title: string;
  readonly language: 'js' | 'ts';
  readonly code: string;
  /** Whether a comment above it says that it is not a whole program: `<!-- excerpt: why -->`. */
  readonly isExcerpt: boolean;
  /** Whether it needs a package that is not installed: `<!-- stands for: name -->`. */
  readonly needsOthers: boolean;
}

/** The `js` and `ts` blocks. */
export function snippetsOf(markdown: string): readonly Snippet[] {
  return [...markdown.matchAll(/(?:^<!-- (excerpt|stands for): [^\n]*-->\n)?^```(js|ts)\n(.*?)^```$/gms)].map(
    (match) => ({
      title: [...markdown.slice(0, match.index).matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? '',
      language: match[2] as 'js' | 'ts',
      code: match[3] ?? '',
      isExcerpt: match[1] === 'excerpt',
      needsOthers: match[1] === 'stands for',
    }),
  );
}
