/** Servers that are odd and mean no harm: the same round through the API over each switch of the embedded server. */
import { after, before, describe } from 'node:test';
import { type Faults, startServer, type TestServer } from '../../src/testing/index.js';
import { declareCompactSuite, type Expectations } from '../support/compact-suite.js';
import { connectToServer } from '../support/login.js';

interface Oddity extends Expectations {
  readonly faults?: Faults;
  readonly extensions?: readonly string[];
}

const extensions = [
  'limits@openssh.com',
  'posix-rename@openssh.com',
  'fsync@openssh.com',
  'statvfs@openssh.com',
  'lsetstat@openssh.com',
  'expand-path@openssh.com',
  'copy-data',
];
const without = (name: string) => extensions.filter((extension) => extension !== name);

const oddities: Readonly<Record<string, Oddity>> = {
  'knows no extension at all': { extensions: [] },
  'tells no limits': { extensions: without('limits@openssh.com') },
  'has no posix-rename': { extensions: without('posix-rename@openssh.com') },
  'keeps 32 handles': { faults: { maxHandles: 32 } },
  'keeps 32 handles and does not tell': {
    faults: { maxHandles: 32 },
    extensions: without('limits@openssh.com'),
  },
  'takes one request at a time': { faults: { oneAtATime: true } },
  'answers out of order': { faults: { outOfOrder: true } },
  'has no random-access writes': { faults: { sequentialWrites: true } },
  'refuses FSETSTAT': { faults: { refuseSetstat: true } },
  'takes files away after CLOSE': { faults: { removeAfterClose: true }, filesVanish: true },
  // The switch does not look into extensions, which Windows servers have none of.
  'has Windows paths': { faults: { windowsPaths: true }, extensions: [] },
  'has no realpath': { faults: { noRealpath: true } },
  'reads short': { faults: { maxReadLength: 1000 } },
  'tells no longname': { faults: { noLongname: true } },
  'tells no type in the mode': { faults: { noFileType: true } },
  'says that every size is 0': { faults: { size: 'zero' }, noSizes: true },
  'tells no size': { faults: { size: 'absent' }, noSizes: true },
  'lists one entry at a time': { faults: { maxNames: 1 } },
  'has status codes from 9 to 31': { faults: { laterStatusCodes: true } },
};

for (const [name, { faults = {}, extensions: offered = extensions, ...expected }] of Object.entries(
  oddities,
)) {
  describe(`a server that ${name}`, () => {
    let server: TestServer;
    before(async () => {
      server = await startServer({ files: {} }, { faults, extensions: offered });
    });
    after(() => server?.close());
    declareCompactSuite(() => ({ root: '/', connect: () => connectToServer(server) }), expected);
  });
}
