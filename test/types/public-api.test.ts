/** The public types, checked by the compiler: what must not compile is marked, and a mark without an error is one. */
import { test } from 'node:test';
import type {
  CnOpts,
  Connection,
  ConnectOptions,
  connect,
  FileAttributes,
  HostKeys,
  pathAdvance,
  SftpError,
  SftpStatusError,
  stModeToInt,
  TreeReport,
  UnsupportedError,
  WalkEntry,
} from '../../src/index.js';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Answer<M extends keyof Connection> = Connection[M] extends (...args: never[]) => infer R
  ? Awaited<R>
  : never;
function holds<_ extends true>(): void {}

test('the types of the public API hold', () => {
  holds<Equal<Awaited<ReturnType<typeof connect>>, Connection>>();
  holds<Equal<Answer<'pwd'>, string>>();
  holds<Equal<Answer<'getcwd'>, string | null>>();
  holds<Equal<Answer<'listdir'>, string[]>>();
  holds<Equal<Answer<'listdirAttr'>, FileAttributes[]>>();
  holds<Equal<Answer<'exists'>, boolean>>();
  holds<Equal<Answer<'stat'>, FileAttributes>>();
  holds<Equal<Answer<'get'>, void>>();
  holds<Equal<Answer<'put'>, FileAttributes>>();
  holds<Equal<Answer<'getR'>, TreeReport>>();
  holds<Equal<Answer<'truncate'>, number>>();
  holds<Equal<Answer<'getfo'>, number>>();
  holds<Equal<Answer<'execute'>, string[]>>();
  holds<Equal<Answer<'chmod'>, void>>();
  holds<Equal<ReturnType<Connection['walk']>, AsyncGenerator<WalkEntry, void, undefined>>>();
  holds<Equal<Connection['timeout'], number | null>>();
  holds<Equal<Connection['logfile'], string | false>>();
  holds<Equal<Connection['activeCiphers'], readonly [string, string]>>();
  holds<Equal<CnOpts['hostkeys'], HostKeys | null>>();
  holds<Equal<FileAttributes['size'], number | undefined>>();
  holds<Equal<ReturnType<typeof pathAdvance>, Generator<string, void, undefined>>>();
  holds<Equal<ReturnType<typeof stModeToInt>, number>>();
  holds<SftpStatusError extends SftpError ? true : false>();
  holds<Equal<UnsupportedError['extension'], string>>();
  holds<Connection extends AsyncDisposable ? true : false>();
});

test('wrong options do not compile', () => {
  const options: ConnectOptions = { username: 'me', cnopts: { hostkeys: null } };
  void options;
  // Never called: only compiled.
  const wrong = async (sftp: Connection, open: typeof connect) => {
    // @ts-expect-error an option that does not exist
    await open('host', { userName: 'me' });
    // @ts-expect-error a port is a number
    await open('host', { port: '22' });
    // @ts-expect-error without a host
    await open({ username: 'me' });
    // @ts-expect-error false is not null
    await open('host', { cnopts: { hostkeys: false } });
    // @ts-expect-error an option of pysftp's that is spelled differently here
    await sftp.get('a', 'b', { preserve_mtime: true });
    // @ts-expect-error get confirms always
    await sftp.get('a', 'b', { confirm: false });
    // @ts-expect-error the path is missing
    await sftp.stat();
    // @ts-expect-error a mode is a number or text
    await sftp.chmod('a', true);
    // @ts-expect-error an owner is a number
    await sftp.chown('a', 'root');
    // @ts-expect-error links cannot be copied by this
    sftp.walk('.', { symlinks: 'copy' });
    // @ts-expect-error two times
    await sftp.utime('a', [1]);
    // @ts-expect-error callbacks are needed
    await sftp.walktree('.', () => {});
    // @ts-expect-error read-only
    sftp.logfile = 'x';
    // @ts-expect-error a local path
    await sftp.put(Buffer.from('x'));
    // @ts-expect-error the answer of readlink as bytes is no string
    const text: string = await sftp.readlink('a', { encoding: 'buffer' });
    return text;
  };
  void wrong;
});
