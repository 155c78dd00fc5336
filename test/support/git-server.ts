/** Git over HTTP: git's own http-backend behind Node's server (git-http-backend(1), CGI as of RFC 3875). */
import { Buffer } from 'node:buffer';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';

export const needsGit: string | false =
  spawnSync('git', ['http-backend'], { env: { ...process.env, REQUEST_METHOD: 'GET' }, stdio: 'ignore' })
    .error === undefined
    ? false
    : 'needs git';

const IDENTITY = ['-c', 'user.name=Test', '-c', 'user.email=test@example.org'];

export function git(folder: string, ...words: readonly string[]): string {
  const args = ['-C', folder, '-c', 'safe.directory=*', ...IDENTITY, ...words];
  return execFileSync('git', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
}

export interface GitServer extends AsyncDisposable {
  readonly url: string;
  /** The bare repository. */
  readonly repository: string;
}

/** Serves one repository with some commits, which takes pushes. */
export async function startGitServer(folder: string): Promise<GitServer> {
  const repository = join(folder, 'project.git');
  const work = join(folder, 'work');
  mkdirSync(join(work, 'src/deep'), { recursive: true });
  git(folder, 'init', '-q', '-b', 'main', work);
  for (let index = 0; index < 12; index += 1) {
    const file = join(work, index % 2 ? `src/file${index}.txt` : `src/deep/file${index}.txt`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `content of ${index}\n`.repeat(20 + index));
  }
  git(work, 'add', '.');
  git(work, 'commit', '-q', '-m', 'first');
  writeFileSync(join(work, 'src/file1.txt'), 'changed\n');
  git(work, 'commit', '-q', '-a', '-m', 'second');
  git(folder, 'clone', '-q', '--bare', work, repository);
  git(repository, 'config', 'http.receivepack', 'true');
  const server = createServer((request, response) => {
    answer(folder, request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/project.git`,
    repository,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const body = await buffer(request);
  const child = spawn('git', ['-c', 'safe.directory=*', 'http-backend'], {
    env: {
      ...process.env,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      CONTENT_LENGTH: String(body.length),
      REMOTE_USER: 'test',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.end(body);
  const output = await buffer(child.stdout);
  const end = output.indexOf('\r\n\r\n');
  for (const line of output.subarray(0, end).toString('latin1').split('\r\n')) {
    const [name = '', value = ''] = line.split(/: (.*)/s);
    if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.end(Buffer.from(output.subarray(end + 4)));
}
