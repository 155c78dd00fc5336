/**
 * What TypeDoc does not do by itself for the documentation site: a page is called as its first heading says and stands in
 * a group, the modules are called as programs import them, and every page has plain links to all of that at its side.
 */
import { basename } from 'node:path';
import { Converter, JSX, ReflectionKind, RendererEvent } from 'typedoc';

/** The pages of each group; a page that is in none of them is a guide. */
const GROUPS = {
  'First steps': ['options', 'troubleshooting', 'errors', 'security'],
  Guides: [],
  'Moving to tsftp': ['from-ssh2-sftp-client', 'from-pysftp'],
  Background: ['performance', 'interoperability', 'architecture', 'upstream', 'CONTRIBUTING', 'CHANGELOG'],
};

/** Those that come first in their group, in this order. */
const FIRST = ['options', 'troubleshooting', 'errors', 'security', 'cookbook', 'services'];

/** The modules by their folder, as programs import them. */
const MODULES = {
  index: 'tsftp',
  testing: 'tsftp/testing',
  terminal: 'tsftp/terminal',
  'ssh2-sftp-client': 'tsftp/ssh2-sftp-client',
};

const API_GROUP = 'API reference';

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, document) => {
    const name = basename(document.name);
    const [group = 'Guides'] = Object.entries(GROUPS).find(([, names]) => names.includes(name)) ?? [];
    document.name = name;
    document.frontmatter = { ...document.frontmatter, title: titleOf(document), group };
  });
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (_, reflection) => {
    // What `require` gives is the class itself.
    if (reflection.name === 'module.exports') reflection.name = 'Client';
    if (reflection.kind !== ReflectionKind.Module) return;
    reflection.name = MODULES[reflection.name] ?? `tsftp/${reflection.name}`;
  });
  app.renderer.on(RendererEvent.BEGIN, ({ project }) => {
    namePages(project);
    keepReferenceOnly(app.renderer.theme);
  });
  app.renderer.hooks.on('sidebar.begin', links);
}

function titleOf(document) {
  const text = document.content.map((part) => part.text).join('');
  return /^# (.*)$/m.exec(text)?.[1] ?? document.name;
}

/** The addresses have been made of the names of the files by now, and stay short. */
function namePages(project) {
  const place = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  for (const { children } of project.groups ?? []) children.sort((left, right) => place(left) - place(right));
  for (const document of project.documents ?? []) document.name = document.frontmatter.title;
  for (const group of project.groups ?? []) if (group.title === 'Modules') group.title = API_GROUP;
  const order = [...Object.keys(GROUPS), API_GROUP];
  project.groups?.sort((left, right) => order.indexOf(left.title) - order.indexOf(right.title));
}

/** The tree at the side is for the reference alone, since the pages have links above it. */
function keepReferenceOnly(theme) {
  const build = theme.buildNavigation.bind(theme);
  theme.buildNavigation = (project) =>
    build(project).flatMap(({ text, children = [] }) => (text === API_GROUP ? children : []));
}

/** Plain links, so that whatever there is, is two clicks away also without JavaScript, which draws the tree. */
function links(context) {
  const { page } = context;
  const element = JSX.createElement;
  const link = (href, text, isHere) =>
    element(
      'li',
      null,
      element('a', { href: context.relativeURL(href), class: isHere ? 'here' : undefined }, text),
    );
  const list = (reflections) =>
    element(
      'ul',
      null,
      ...reflections.map((each) => link(context.router.getFullUrl(each), each.name, each === page.model)),
    );
  const groups = (page.project.groups ?? []).filter(({ title }) => title !== API_GROUP);
  const modules = (page.project.children ?? []).flatMap((each) => [each, ...namespacesOf(each)]);
  return element(
    'nav',
    { class: 'site-links', 'aria-label': 'Pages' },
    element('ul', null, link('index.html', 'Start', page.url === 'index.html')),
    ...groups.map(({ title, children }) =>
      element(
        'details',
        { open: title !== 'Background' || children.includes(page.model) },
        element('summary', null, title),
        list(children),
      ),
    ),
    element('h4', null, API_GROUP),
    element('noscript', null, list(modules)),
  );
}

function namespacesOf(reflection) {
  return (reflection.children ?? []).filter(({ kind }) => kind === ReflectionKind.Namespace);
}
