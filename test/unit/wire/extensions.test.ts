/** OpenSSH's extensions byte by byte, drawn from its PROTOCOL, section 4, and copy-data and home-directory
 * from draft-ietf-secsh-filexfer-extensions-00. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { ProtocolError } from '../../../src/errors.js';
import {
  decodeExtensionData,
  decodeExtensionFields,
  type ExtensionData,
  type ExtensionFields,
  type ExtensionName,
  type ExtensionWithData,
  encodeExtensionData,
  encodeExtensionFields,
  extensions,
} from '../../../src/wire/extensions.js';
import { diagram } from './diagram.js';

const oldPath = Buffer.from('/old');
const newPath = Buffer.from('/new');
const handle = Buffer.from([0, 0, 0, 7]);
const unknownAttributes = {
  size: undefined,
  uid: undefined,
  gid: undefined,
  atime: undefined,
  mtime: undefined,
};
const NO_LIMIT = 2n ** 64n - 1n;

/** The fields after the name in EXTENDED. */
const FIELDS: { readonly [N in ExtensionName]: readonly [fields: ExtensionFields<N>, drawing: string] } = {
  limits: [{}, ''],
  posixRename: [
    { oldPath, newPath },
    `
    00 00 00 04 "/old" ; oldpath
    00 00 00 04 "/new" ; newpath`,
  ],
  hardlink: [
    { oldPath, newPath },
    `
    00 00 00 04 "/old" ; oldpath
    00 00 00 04 "/new" ; newpath`,
  ],
  fsync: [{ handle }, '00 00 00 04 00 00 00 07 ; handle'],
  statvfs: [{ path: oldPath }, '00 00 00 04 "/old" ; path'],
  fstatvfs: [{ handle }, '00 00 00 04 00 00 00 07 ; handle'],
  lsetstat: [
    { path: oldPath, attributes: { ...unknownAttributes, mode: 0o777 } },
    `
    00 00 00 04 "/old" ; path
    00 00 00 04        ; attrs: SSH_FILEXFER_ATTR_PERMISSIONS
    00 00 01 ff        ;   permissions`,
  ],
  expandPath: [{ path: Buffer.from('~me/x') }, '00 00 00 05 "~me/x" ; path'],
  copyData: [
    { readHandle: handle, readOffset: 1, length: 0, writeHandle: Buffer.from([8]), writeOffset: 2 ** 40 },
    `
    00 00 00 04 00 00 00 07 ; read-from-handle
    00 00 00 00 00 00 00 01 ; read-from-offset
    00 00 00 00 00 00 00 00 ; read-data-length: to the end
    00 00 00 01 08          ; write-to-handle
    00 00 01 00 00 00 00 00 ; write-to-offset`,
  ],
  checkFileHandle: [
    { handle, algorithms: 'sha256,md5', offset: 1, length: 2 ** 40, blockLength: 256 },
    `
    00 00 00 04 00 00 00 07 ; handle
    00 00 00 0a "sha256,md5" ; hash-algorithm-list
    00 00 00 00 00 00 00 01 ; start-offset
    00 00 01 00 00 00 00 00 ; length
    00 00 01 00             ; block-size`,
  ],
  homeDirectory: [{ username: 'me' }, '00 00 00 02 "me" ; username'],
  usersGroupsById: [
    { uids: [0, 1000], gids: [0xffffffff] },
    `
    00 00 00 08 00 00 00 00 00 00 03 e8 ; uids, packed
    00 00 00 04 ff ff ff ff             ; gids, packed`,
  ],
};

const statvfs: readonly [ExtensionData<'statvfs'>, string] = [
  {
    blockSize: 4096n,
    fragmentSize: 512n,
    blocks: 3n,
    freeBlocks: 4n,
    availableBlocks: 5n,
    files: 6n,
    freeFiles: 7n,
    availableFiles: 8n,
    fileSystemId: 0x0123456789abcdefn,
    flags: 1n,
    maxNameLength: 255n,
  },
  `
  00 00 00 00 00 00 10 00 ; f_bsize
  00 00 00 00 00 00 02 00 ; f_frsize
  00 00 00 00 00 00 00 03 ; f_blocks
  00 00 00 00 00 00 00 04 ; f_bfree
  00 00 00 00 00 00 00 05 ; f_bavail
  00 00 00 00 00 00 00 06 ; f_files
  00 00 00 00 00 00 00 07 ; f_ffree
  00 00 00 00 00 00 00 08 ; f_favail
  01 23 45 67 89 ab cd ef ; f_fsid
  00 00 00 00 00 00 00 01 ; f_flag: SSH_FXE_STATVFS_ST_RDONLY
  00 00 00 00 00 00 00 ff ; f_namemax`,
];

/** The data of EXTENDED_REPLY. */
const DATA: { readonly [N in ExtensionWithData]: readonly [data: ExtensionData<N>, drawing: string] } = {
  limits: [
    { maxPacketLength: 262144n, maxReadLength: 261120n, maxWriteLength: 261120n, maxOpenHandles: NO_LIMIT },
    `
    00 00 00 00 00 04 00 00 ; max-packet-length
    00 00 00 00 00 03 fc 00 ; max-read-length
    00 00 00 00 00 03 fc 00 ; max-write-length
    ff ff ff ff ff ff ff ff ; max-open-handles`,
  ],
  statvfs,
  fstatvfs: statvfs,
  checkFileHandle: [
    { algorithm: 'md5', hashes: Buffer.from([1, 2, 3]) },
    `
    00 00 00 0a "check-file"
    00 00 00 03 "md5" ; hash-algo-used
    01 02 03          ; hash[n][block-count]`,
  ],
  usersGroupsById: [
    { users: ['root', ''], groups: ['größe'] },
    `
    00 00 00 0c                     ; usernames, packed:
    00 00 00 04 "root"              ;   of the first uid
    00 00 00 00                     ;   the second uid has none
    00 00 00 0b                     ; groupnames, packed:
    00 00 00 07 "gr" c3 b6 c3 9f "e";   of the first gid`,
  ],
};

describe('extensions', () => {
  test('have the names of the documents, and the reply that they give', () => {
    const rows = new Map<string, string>(Object.values(extensions).map(({ name, reply }) => [name, reply]));
    const expected = new Map<string, string>([
      ['limits@openssh.com', 'extendedReply'],
      ['posix-rename@openssh.com', 'status'],
      ['hardlink@openssh.com', 'status'],
      ['fsync@openssh.com', 'status'],
      ['statvfs@openssh.com', 'extendedReply'],
      ['fstatvfs@openssh.com', 'extendedReply'],
      ['lsetstat@openssh.com', 'status'],
      ['expand-path@openssh.com', 'name'],
      ['copy-data', 'status'],
      ['check-file-handle', 'extendedReply'],
      ['home-directory', 'name'],
      ['users-groups-by-id@openssh.com', 'extendedReply'],
    ]);
    assert.deepEqual(rows, expected);
  });

  for (const [key, [fields, drawing]] of Object.entries(FIELDS)) {
    const name = key as ExtensionName;
    test(`${name}: the fields have exactly these bytes`, () => {
      assert.deepEqual(encodeExtensionFields(name, fields as never), diagram(drawing));
    });

    test(`${name}: the fields are read from exactly these bytes`, () => {
      assert.deepEqual(decodeExtensionFields(name, diagram(drawing)), fields);
    });
  }

  for (const [key, [data, drawing]] of Object.entries(DATA)) {
    const name = key as ExtensionWithData;
    test(`${name}: the reply's data has exactly these bytes`, () => {
      assert.deepEqual(encodeExtensionData(name, data as never), diagram(drawing));
    });

    test(`${name}: the reply's data is read from exactly these bytes`, () => {
      assert.deepEqual(decodeExtensionData(name, diagram(drawing)), data);
    });

    test(`${name}: data that is cut anywhere is refused`, () => {
      const whole = diagram(drawing);
      // What is left of the packet is the hashes, however few they are.
      const open = 'hashes' in data ? data.hashes.length : 0;
      for (let length = 0; length < whole.length - open; length++) {
        assert.throws(() => decodeExtensionData(name, whole.subarray(0, length)), ProtocolError);
      }
    });
  }

  test('a hash is known without the word before its algorithm too', () => {
    const { algorithm, hashes } = decodeExtensionData(
      'checkFileHandle',
      diagram('00 00 00 03 "md5" 01 02 03'),
    );
    assert.deepEqual([algorithm, hashes], ['md5', Buffer.from([1, 2, 3])]);
  });

  test('packed numbers that do not fill their string are refused', () => {
    const bytes = diagram('00 00 00 05 00 00 00 01 02 00 00 00 00');
    assert.throws(() => decodeExtensionFields('usersGroupsById', bytes), ProtocolError);
  });

  test('a packed text that reaches beyond its string is refused, even where bytes follow', () => {
    const bytes = diagram('00 00 00 05 00 00 00 02 "a" 00 00 00 00');
    assert.throws(() => decodeExtensionData('usersGroupsById', bytes), ProtocolError);
  });

  test('bytes after the last figure are let pass, as later versions may add some', () => {
    const [data, drawing] = DATA.limits;
    assert.deepEqual(decodeExtensionData('limits', Buffer.concat([diagram(drawing), Buffer.alloc(8)])), data);
  });
});
