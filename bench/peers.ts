/** Who is measured: for each job the command line that does it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { BenchServer } from './server.js';

export type Job =
  | 'get'
  | 'put'
  | 'getTree'
  | 'putTree'
  | 'getStream'
  | 'putStream'
  | 'getStreamSmall'
  | 'putStreamSmall'
  | 'getAndStat'
  | 'putAndStat'
  | 'list'
  | 'walk'
  | 'connect';

export interface Paths {
  readonly local: string;
  readonly remote: string;
}

/** The words of the command line for these paths. */
export type Command = (paths: Paths, server: BenchServer) => readonly string[];

export interface Peer {
  readonly name: string;
  /** Whether the machine has it. */
  readonly isPresent: () => boolean;
  readonly commands: Readonly<Partial<Record<Job, Command>>>;
}

const has = (program: string) => () => spawnSync('which', [program]).status === 0;
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function nodeProgram(name: string, jobs: readonly Job[]): Peer {
  const program = fileURLToPath(new URL(`jobs/${name}.mjs`, import.meta.url));
  const command = (job: Job) => (paths: Paths) => [process.execPath, program, job, paths.local, paths.remote];
  return {
    name,
    isPresent: () => true,
    commands: Object.fromEntries(jobs.map((job) => [job, command(job)])),
  };
}

/** Commands of an interactive program, given on its standard input. */
function withInput(program: readonly string[], input: string): readonly string[] {
  return ['sh', '-c', `printf '%s\\n' ${quoted(input)} | ${program.map(quoted).join(' ')}`];
}

function sftp(input: string, server: BenchServer): readonly string[] {
  const { sshOptions, port, env } = server;
  return withInput(
    ['sftp', '-q', ...sshOptions, '-P', String(port), '-b', '-', `${env.BENCH_USER}@${server.host}`],
    input,
  );
}

function sshCommand(command: string, server: BenchServer, redirection: string): readonly string[] {
  const ssh = [
    'ssh',
    ...server.sshOptions,
    '-p',
    String(server.port),
    `${server.env.BENCH_USER}@${server.host}`,
  ];
  return ['sh', '-c', `${[...ssh, command].map(quoted).join(' ')} ${redirection}`];
}

function lftp(input: string, server: BenchServer): readonly string[] {
  const connectProgram = ['ssh', '-a', '-x', ...server.sshOptions].join(' ');
  const settings = `set sftp:connect-program "${connectProgram}"; set cmd:fail-exit yes; set net:max-retries 1`;
  const address = `sftp://${server.env.BENCH_USER}:@${server.host}:${server.port}`;
  return ['lftp', '-c', `${settings}; open ${address}; ${input}`];
}

function rcloneFile(from: string, to: string, server: BenchServer): readonly string[] {
  return rclone([from, to], server).map((word) => (word === 'copy' ? 'copyto' : word));
}

function rclone(words: readonly string[], server: BenchServer): readonly string[] {
  const { BENCH_USER, BENCH_KEY } = server.env;
  const remote = `:sftp,host=${server.host},port=${server.port},user=${BENCH_USER},key_file=${BENCH_KEY}:`;
  const options = ['--config', '/dev/null', '--transfers', '16', '--checkers', '16', '--ignore-times'];
  return ['rclone', 'copy', ...options, ...words.map((word) => word.replace('REMOTE:', remote))];
}

export const peers: readonly Peer[] = [
  nodeProgram('tsftp', [
    ...(['get', 'put', 'getTree', 'putTree', 'list', 'walk', 'connect'] as const),
    ...(['getStream', 'putStream', 'getStreamSmall', 'putStreamSmall'] as const),
    ...(['getAndStat', 'putAndStat'] as const),
  ]),
  {
    name: 'sftp',
    isPresent: has('sftp'),
    commands: {
      get: ({ local, remote }, server) => sftp(`get ${remote} ${local}`, server),
      put: ({ local, remote }, server) => sftp(`put ${local} ${remote}`, server),
      getTree: ({ local, remote }, server) => sftp(`get -R ${remote}/. ${local}`, server),
      putTree: ({ local, remote }, server) => sftp(`put -R ${local}/. ${remote}`, server),
      list: ({ remote }, server) => sftp(`ls -1 -f ${remote}`, server),
      connect: (_, server) => sftp('pwd', server),
    },
  },
  {
    name: 'ssh cat',
    isPresent: has('ssh'),
    commands: {
      get: ({ local, remote }, server) => sshCommand(`cat ${remote}`, server, `> ${quoted(local)}`),
      put: ({ local, remote }, server) => sshCommand(`cat > ${remote}`, server, `< ${quoted(local)}`),
    },
  },
  nodeProgram('ssh2', ['get', 'put', 'list', 'connect']),
  nodeProgram('ssh2-sftp-client', ['get', 'put', 'getTree', 'putTree', 'connect']),
  {
    name: 'lftp',
    isPresent: has('lftp'),
    commands: {
      get: ({ local, remote }, server) => lftp(`get ${remote} -o ${local}`, server),
      put: ({ local, remote }, server) => lftp(`put ${local} -o ${remote}`, server),
      getTree: ({ local, remote }, server) => lftp(`mirror -P8 ${remote} ${local}`, server),
      putTree: ({ local, remote }, server) => lftp(`mirror -R -P8 ${local} ${remote}`, server),
    },
  },
  {
    name: 'lftp pget',
    isPresent: has('lftp'),
    commands: {
      get: ({ local, remote }, server) => lftp(`pget -n 8 ${remote} -o ${local}`, server),
    },
  },
  {
    name: 'rclone',
    isPresent: has('rclone'),
    commands: {
      get: ({ local, remote }, server) => rcloneFile(`REMOTE:${remote}`, local, server),
      put: ({ local, remote }, server) => rcloneFile(local, `REMOTE:${remote}`, server),
      getTree: ({ local, remote }, server) => rclone([`REMOTE:${remote}`, local], server),
      putTree: ({ local, remote }, server) => rclone([local, `REMOTE:${remote}`], server),
    },
  },
];
