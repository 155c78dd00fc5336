/** Who is trusted: every combination of what may have a say, over both transports, with one outcome each. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  CnOpts,
  type CnOptsFields,
  type ConnectOptions,
  connect,
  HostKeys,
  SftpError,
} from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { makeKey, needsOpenSsh } from '../../support/sshd.js';

const TRANSPORTS = ['ssh2', 'openssh'] as const;
const POLICIES = ['strict', 'accept-new'] as const;
const PINS = ['none', 'right', 'wrong'] as const;
/** Where the keys come from: a known_hosts file that is named or of the ssh configuration, or `hostkeys`. */
const SOURCES = ['named file', 'configuration', 'empty', 'right', 'other', 'revoking', 'null'] as const;
/** What the known_hosts file says; with `hostkeys` it is where a new host would be added. */
const FILES = ['new', 'right', 'changed', 'other type', 'revoked', 'authority'] as const;

/** What the program's own function says, where there is one. */
const VERDICTS = ['not asked', 'yes', 'no'] as const;

interface Row {
  readonly verdict: (typeof VERDICTS)[number];
  readonly transport: (typeof TRANSPORTS)[number];
  readonly policy: (typeof POLICIES)[number];
  readonly pin: (typeof PINS)[number];
  readonly source: (typeof SOURCES)[number];
  readonly file: (typeof FILES)[number];
}

const READ = 'named file|configuration';

/** The first line that fits decides; `*` is anything. The transport makes no difference. */
const TABLE = [
  // source          pin       policy        file          outcome
  [READ, '*', '*', 'revoked', 'HOST_KEY_REVOKED'],
  ['revoking', '*', '*', '*', 'HOST_KEY_REVOKED'],
  ['*', 'right', '*', '*', 'connected'],
  ['*', 'wrong', '*', '*', 'HOST_KEY_CHANGED'],
  ['null', '*', '*', '*', 'connected'],
  ['right', '*', '*', '*', 'connected'],
  ['other', '*', '*', '*', 'HOST_KEY_CHANGED'],
  ['empty', '*', 'strict', '*', 'HOST_KEY_UNKNOWN'],
  ['*', '*', 'strict', 'new', 'HOST_KEY_UNKNOWN'],
  ['*', '*', 'accept-new', 'new', 'added'],
  ['*', '*', '*', 'right', 'connected'],
  ['*', '*', '*', 'changed', 'HOST_KEY_CHANGED'],
  ['*', '*', '*', 'other type', 'HOST_KEY_OTHER_TYPE'],
  ['*', '*', '*', 'authority', 'HOST_KEY_UNKNOWN'],
  ['*', '*', '*', 'revoked', 'HOST_KEY_REVOKED'],
] as const;

function expected(row: Row): string {
  const { source, pin, policy, file, verdict } = row;
  const values = [source, pin, policy, file];
  const fits = (line: readonly string[]): boolean =>
    values.every((value, index) => line[index] === '*' || line[index]?.split('|').includes(value));
  const usual: string = TABLE.find(fits)?.[4] ?? 'no line of the table fits';
  if (verdict === 'not asked' || usual === 'HOST_KEY_REVOKED')
    return usual === 'HOST_KEY_REVOKED' ? revoked(row) : usual;
  // The function is asked before the file to which the host would be added.
  const isNew = source === 'empty' && policy === 'accept-new' && pin === 'none';
  if (verdict === 'yes') return isNew || usual === 'added' ? usual : 'connected';
  if (isNew || usual === 'added') return 'HOST_KEY_UNKNOWN';
  return usual === 'connected' ? 'HOST_KEY_REFUSED' : usual;
}

/** Where only the file revokes the key to which the host would be added, the function has refused it before. */
function revoked({ source, verdict }: Row): string {
  return source === 'empty' && verdict === 'no' ? 'HOST_KEY_UNKNOWN' : 'HOST_KEY_REVOKED';
}

const ROWS: readonly Row[] = TRANSPORTS.flatMap((transport) =>
  POLICIES.flatMap((policy) =>
    PINS.flatMap((pin) =>
      SOURCES.flatMap((source) =>
        FILES.flatMap((file) =>
          // ssh asks no function: to give one is an error.
          (transport === 'ssh2' ? VERDICTS : (['not asked'] as const)).map((verdict) => ({
            transport,
            policy,
            pin,
            source,
            file,
            verdict,
          })),
        ),
      ),
    ),
  ),
);

const AT_ONCE = 4;

describe('trust', { skip: needsOpenSsh }, () => {
  let folder = '';
  let server: TestServer;
  let changed = '';
  let otherType = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-trust-table-'));
    server = await startServer({ files: {} });
    changed = await makeKey(join(folder, 'changed'), 'ed25519');
    otherType = await makeKey(join(folder, 'other'), 'ecdsa');
  });
  after(async () => {
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  function textOf(file: Row['file']): string {
    const name = `[${server.host}]:${server.port}`;
    const right = server.hostKey.publicKey;
    const texts: Readonly<Record<Row['file'], string>> = {
      new: `elsewhere ${changed}\n`,
      right: `${name} ${right}\n`,
      changed: `${name} ${changed}\n`,
      'other type': `${name} ${otherType}\n`,
      revoked: `${name} ${right}\n@revoked * ${right}\n`,
      authority: `@cert-authority ${name} ${changed}\n`,
    };
    return texts[file];
  }

  async function sources({ source, file }: Row, index: number): Promise<CnOptsFields> {
    const knownhosts = join(folder, `known_hosts ${index}`);
    await writeFile(knownhosts, textOf(file));
    if (source === 'named file') return { knownhosts, config: false };
    if (source === 'configuration') {
      const config = join(folder, `config ${index}`);
      await writeFile(config, `UserKnownHostsFile "${knownhosts}"\nGlobalKnownHostsFile none\n`);
      return { config };
    }
    const text = { empty: '', right: textOf('right'), other: textOf('changed'), revoking: textOf('revoked') };
    if (source === 'null') return { knownhosts, config: false, hostkeys: null };
    const hostkeys = new HostKeys();
    hostkeys.parse(
      text[source]
        .split('\n')
        .filter((line) => source !== 'revoking' || line.startsWith('@'))
        .join('\n'),
    );
    return { knownhosts, config: false, hostkeys };
  }

  /** What became of a row, and of the file. */
  async function run(row: Row, index: number): Promise<string> {
    const { transport, policy: hostKeyPolicy, pin, verdict } = row;
    const pins = { none: undefined, right: server.hostKey.fingerprint, wrong: `SHA256:${'A'.repeat(43)}` };
    const cnopts = {
      ...(await sources(row, index)),
      transport,
      hostKeyPolicy,
      fingerprint: pins[pin],
      ...(verdict !== 'not asked' && { verifyHostKey: () => verdict === 'yes' }),
      agent: false,
    } as const;
    const { port, username, password } = server;
    const options: ConnectOptions = { port, username, password, cnopts };
    const outcome = await connect(server.host, options).then(
      async (sftp) => {
        await sftp.close();
        return 'connected';
      },
      (error: unknown) => (error instanceof SftpError ? error.code : String(error)),
    );
    const text = await readFile(join(folder, `known_hosts ${index}`), 'utf8');
    if (text === textOf(row.file)) return outcome;
    const keys = new HostKeys();
    keys.parse(text);
    const { status } = keys.check(
      server.host,
      port,
      Buffer.from(server.hostKey.publicKey.split(' ')[1] ?? '', 'base64'),
    );
    return outcome === 'connected' && status === 'trusted' && text.startsWith(textOf(row.file))
      ? 'added'
      : `${outcome}, and the file holds ${text}`;
  }

  test('X1: pins decide first, then no check, then every source, whatever the policy and the transport, and no secret leaves before', async () => {
    const rows = [...ROWS.entries()];
    const wrong: string[] = [];
    const work = async (): Promise<void> => {
      for (let next = rows.shift(); next !== undefined; next = rows.shift()) {
        const [index, row] = next;
        const outcome = await run(row, index);
        if (outcome !== expected(row)) wrong.push(`${JSON.stringify(row)}: ${outcome}, not ${expected(row)}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    assert.deepEqual(wrong, []);
    const trusted = ROWS.filter((row) => !expected(row).startsWith('HOST_KEY')).length;
    // Whoever is refused has not been asked for a login, not even for the methods that there are.
    assert.deepEqual([ROWS.length, server.counters.logins], [1008, trusted]);
    assert.ok(server.counters.refusedLogins <= trusted);
  });

  /** The error's code, or `connected`, with each transport. */
  async function outcomes(cnopts: CnOptsFields): Promise<readonly string[]> {
    const { port, username, password } = server;
    return await Promise.all(
      TRANSPORTS.map(async (transport) => {
        const options = { port, username, password, cnopts: { agent: false, ...cnopts, transport } } as const;
        return await connect(server.host, options).then(
          (sftp) => sftp.close().then(() => 'connected'),
          (error: unknown) => (error instanceof SftpError ? error.code : String(error)),
        );
      }),
    );
  }

  test('X5: a host is not new where any file or key of the program revokes its key or knows another', async () => {
    const first = join(folder, 'first');
    const second = join(folder, 'second');
    const config = join(folder, 'two files');
    const codes = {
      changed: 'HOST_KEY_CHANGED',
      revoked: 'HOST_KEY_REVOKED',
      authority: 'HOST_KEY_UNKNOWN',
    } as const;
    for (const [file, code] of Object.entries(codes) as [keyof typeof codes, string][]) {
      await writeFile(first, textOf('new'));
      await writeFile(second, textOf(file));
      const named = { config: false, knownhosts: [first, second] };
      assert.deepEqual(
        await outcomes({ ...named, hostKeyPolicy: 'accept-new' }),
        [code, code],
        'second file',
      );
      for (const lines of [
        `UserKnownHostsFile ${first} ${second}\nGlobalKnownHostsFile none\n`,
        `UserKnownHostsFile ${first}\nGlobalKnownHostsFile ${second}\n`,
      ]) {
        await writeFile(config, lines);
        assert.deepEqual(await outcomes({ config, hostKeyPolicy: 'accept-new' }), [code, code], lines);
      }
      const added = new CnOpts({ config, hostKeyPolicy: 'accept-new', agent: false });
      await writeFile(config, `UserKnownHostsFile ${first}\nGlobalKnownHostsFile none\n`);
      added.hostkeys?.parse(textOf(file));
      for (const transport of TRANSPORTS) {
        added.transport = transport;
        const { port, username, password } = server;
        await assert.rejects(connect(server.host, { port, username, password, cnopts: added }), { code });
      }
      assert.equal(await readFile(first, 'utf8'), textOf('new'));
    }
  });

  test('X5: a pin does not make up for a key that a second file or the configuration revokes', async () => {
    const second = join(folder, 'revoking');
    const config = join(folder, 'revoking config');
    await writeFile(second, textOf('revoked'));
    await writeFile(config, `UserKnownHostsFile none\nGlobalKnownHostsFile ${second}\n`);
    const { fingerprint } = server.hostKey;
    const code = 'HOST_KEY_REVOKED';
    assert.deepEqual(await outcomes({ config, fingerprint }), [code, code]);
    assert.deepEqual(await outcomes({ config: false, knownhosts: second, fingerprint }), [code, code]);
  });

  test('X5: a policy of the program wins over that of the configuration', async () => {
    const knownhosts = join(folder, 'not for adding');
    const config = join(folder, 'accepting config');
    await writeFile(knownhosts, '');
    await writeFile(
      config,
      `StrictHostKeyChecking accept-new\nUserKnownHostsFile "${knownhosts}"\nGlobalKnownHostsFile none\n`,
    );
    const code = 'HOST_KEY_UNKNOWN';
    assert.deepEqual(await outcomes({ config, hostKeyPolicy: 'strict' }), [code, code]);
    assert.deepEqual(
      [await readFile(knownhosts, 'utf8'), await outcomes({ config })],
      ['', ['connected', 'connected']],
    );
  });

  test('X1: a function that ssh could not ask is an error before anything is sent', async () => {
    const { connections } = server.counters;
    const [, code] = await outcomes({ hostkeys: null, verifyHostKey: () => false });
    assert.deepEqual([code, server.counters.connections - connections], ['UNSUPPORTED_OPTION', 1]);
  });
});
