/**
 * Looks at the documentation site that was built: every link leads somewhere, every page is two clicks from the first one
 * at most, also without JavaScript, and nothing is loaded from other hosts.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';

const ROOT = 'site';
const FIRST = 'index.html';
const MOST_CLICKS = 2;

const names = (await readdir(ROOT, { recursive: true })).map((name) => name.replaceAll('\\', '/'));
const files = new Set(names);
const pages = new Map(
  await Promise.all(
    names
      .filter((name) => name.endsWith('.html'))
      .map(async (name) => [name, parse(name, await readFile(join(ROOT, name), 'utf8'))]),
  ),
);

const problems = [...brokenLinks(), ...farPages(), ...(await foreignResources())];
for (const problem of problems) console.error(problem);
console.log(`${pages.size} pages, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;

function parse(name, html) {
  const attributes = (tag, attribute) =>
    [...html.matchAll(new RegExp(`<${tag}\\b[^>]*?\\s${attribute}="([^"]*)"`, 'g'))].map(([, value]) =>
      value.replaceAll('&amp;', '&'),
    );
  return {
    ids: new Set(attributes('\\w+', 'id')),
    links: attributes('a', 'href')
      .filter((link) => !/^(?:https?|mailto|data):/.test(link))
      .map((link) => target(name, link)),
    loaded: [...attributes('link', 'href'), ...attributes('(?:script|img|source|iframe)', 'src')],
  };
}

function target(from, link) {
  const [path, anchor] = link.split('#');
  const file = path === '' ? from : posix.join(posix.dirname(from), decodeURIComponent(path));
  return { file, anchor: anchor === undefined ? '' : decodeURIComponent(anchor), link };
}

function brokenLinks() {
  return [...pages].flatMap(([name, { links }]) =>
    links
      .filter(
        ({ file, anchor }) =>
          !files.has(file) || (anchor !== '' && pages.get(file)?.ids.has(anchor) === false),
      )
      .map(({ link }) => `${name}: the link ${link} leads nowhere`),
  );
}

function farPages() {
  let reached = new Set([FIRST]);
  for (let click = 0; click < MOST_CLICKS; click += 1) {
    reached = new Set([
      ...reached,
      ...[...reached].flatMap((name) => pages.get(name)?.links.map(({ file }) => file) ?? []),
    ]);
  }
  return [...pages.keys()]
    .filter((name) => !reached.has(name))
    .map((name) => `${name} is more than ${MOST_CLICKS} clicks from ${FIRST}`);
}

async function foreignResources() {
  const styles = names.filter((name) => name.endsWith('.css') || name.endsWith('.svg'));
  const inStyles = await Promise.all(
    styles.map(async (name) => {
      const text = await readFile(join(ROOT, name), 'utf8');
      return [name, [...text.matchAll(/(?:@import|url\()\s*['"]?([^'")\s]+)/g)].map(([, url]) => url)];
    }),
  );
  const all = [...[...pages].map(([name, { loaded }]) => [name, loaded]), ...inStyles];
  return all.flatMap(([name, urls]) =>
    urls.filter((url) => /^(?:https?:)?\/\//.test(url)).map((url) => `${name} loads ${url}`),
  );
}
