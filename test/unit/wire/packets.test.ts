/**
 * The packets of draft-ietf-secsh-filexfer-02 byte by byte, drawn from its text: sections 3 and 4 (the frame
 * and the handshake), 6 (requests), 7 (replies) and 8 (vendors' extensions).
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import type { AttributeValues } from '../../../src/wire/attributes.js';
import { ByteWriter } from '../../../src/wire/bytes.js';
import {
  decodeHandshake,
  decodeReply,
  decodeRequest,
  encodeHandshake,
  encodeReply,
  encodeRequest,
} from '../../../src/wire/codec.js';
import {
  handshakePackets,
  type Reply,
  type Request,
  replies,
  requests,
  SFTP_VERSION,
  SSH_FXF,
} from '../../../src/wire/packets.js';
import { diagram, frameOf } from './diagram.js';

/** What decoding gives for attributes: absent ones are `undefined`. */
function decoded(values: AttributeValues): AttributeValues {
  const nothing = { size: undefined, uid: undefined, gid: undefined };
  return { ...nothing, mode: undefined, atime: undefined, mtime: undefined, ...values };
}

const path = Buffer.from('/a');
const handle = Buffer.from([0, 0xff, 0x80, 1]);
const none = decoded({});

const REQUESTS: readonly (readonly [request: Request, drawing: string])[] = [
  [
    {
      kind: 'open',
      id: 1,
      path,
      flags: SSH_FXF.WRITE | SSH_FXF.CREAT | SSH_FXF.TRUNC,
      attributes: decoded({ mode: 0o644 }),
    },
    `
    00 00 00 17     ; length
    03              ; SSH_FXP_OPEN
    00 00 00 01     ; id
    00 00 00 02 "/a"; filename
    00 00 00 1a     ; pflags: WRITE 02, CREAT 08, TRUNC 10
    00 00 00 04     ; attrs: SSH_FILEXFER_ATTR_PERMISSIONS
    00 00 01 a4     ;   permissions`,
  ],
  [
    { kind: 'close', id: 2, handle },
    `
    00 00 00 0d     ; length
    04              ; SSH_FXP_CLOSE
    00 00 00 02     ; id
    00 00 00 04 00 ff 80 01 ; handle`,
  ],
  [
    { kind: 'read', id: 0xffffffff, handle, offset: 0x1_2345_6789, length: 0x8000 },
    `
    00 00 00 19     ; length
    05              ; SSH_FXP_READ
    ff ff ff ff     ; id
    00 00 00 04 00 ff 80 01 ; handle
    00 00 00 01 23 45 67 89 ; offset
    00 00 80 00     ; len`,
  ],
  [
    { kind: 'write', id: 4, handle, offset: Number.MAX_SAFE_INTEGER, data: [Buffer.from('xyz')] },
    `
    00 00 00 1c     ; length
    06              ; SSH_FXP_WRITE
    00 00 00 04     ; id
    00 00 00 04 00 ff 80 01 ; handle
    00 1f ff ff ff ff ff ff ; offset
    00 00 00 03 "xyz" ; data`,
  ],
  [
    { kind: 'lstat', id: 5, path },
    `
    00 00 00 0b     ; length
    07              ; SSH_FXP_LSTAT
    00 00 00 05     ; id
    00 00 00 02 "/a"; path`,
  ],
  [
    { kind: 'fstat', id: 6, handle },
    `
    00 00 00 0d     ; length
    08              ; SSH_FXP_FSTAT
    00 00 00 06     ; id
    00 00 00 04 00 ff 80 01 ; handle`,
  ],
  [
    { kind: 'setstat', id: 7, path, attributes: decoded({ atime: 1, mtime: 2 }) },
    `
    00 00 00 17     ; length
    09              ; SSH_FXP_SETSTAT
    00 00 00 07     ; id
    00 00 00 02 "/a"; path
    00 00 00 08     ; attrs: SSH_FILEXFER_ATTR_ACMODTIME
    00 00 00 01     ;   atime
    00 00 00 02     ;   mtime`,
  ],
  [
    { kind: 'fsetstat', id: 8, handle, attributes: decoded({ size: 0 }) },
    `
    00 00 00 19     ; length
    0a              ; SSH_FXP_FSETSTAT
    00 00 00 08     ; id
    00 00 00 04 00 ff 80 01 ; handle
    00 00 00 01     ; attrs: SSH_FILEXFER_ATTR_SIZE
    00 00 00 00 00 00 00 00 ; size`,
  ],
  [
    { kind: 'opendir', id: 9, path },
    `
    00 00 00 0b     ; length
    0b              ; SSH_FXP_OPENDIR
    00 00 00 09     ; id
    00 00 00 02 "/a"; path`,
  ],
  [
    { kind: 'readdir', id: 10, handle },
    `
    00 00 00 0d     ; length
    0c              ; SSH_FXP_READDIR
    00 00 00 0a     ; id
    00 00 00 04 00 ff 80 01 ; handle`,
  ],
  [
    { kind: 'remove', id: 11, path: Buffer.from([0x2f, 0xe4]) },
    `
    00 00 00 0b     ; length
    0d              ; SSH_FXP_REMOVE
    00 00 00 0b     ; id
    00 00 00 02 2f e4 ; filename, in a server's Latin-1`,
  ],
  [
    { kind: 'mkdir', id: 12, path, attributes: none },
    `
    00 00 00 0f     ; length
    0e              ; SSH_FXP_MKDIR
    00 00 00 0c     ; id
    00 00 00 02 "/a"; path
    00 00 00 00     ; attrs: none`,
  ],
  [
    { kind: 'rmdir', id: 13, path },
    `
    00 00 00 0b     ; length
    0f              ; SSH_FXP_RMDIR
    00 00 00 0d     ; id
    00 00 00 02 "/a"; path`,
  ],
  [
    { kind: 'realpath', id: 14, path: Buffer.from('.') },
    `
    00 00 00 0a     ; length
    10              ; SSH_FXP_REALPATH
    00 00 00 0e     ; id
    00 00 00 01 "." ; path`,
  ],
  [
    { kind: 'stat', id: 15, path: Buffer.alloc(0) },
    `
    00 00 00 09     ; length
    11              ; SSH_FXP_STAT
    00 00 00 0f     ; id
    00 00 00 00     ; path`,
  ],
  [
    { kind: 'rename', id: 16, oldPath: path, newPath: Buffer.from('/bc') },
    `
    00 00 00 12     ; length
    12              ; SSH_FXP_RENAME
    00 00 00 10     ; id
    00 00 00 02 "/a" ; oldpath
    00 00 00 03 "/bc"; newpath`,
  ],
  [
    { kind: 'readlink', id: 17, path },
    `
    00 00 00 0b     ; length
    13              ; SSH_FXP_READLINK
    00 00 00 11     ; id
    00 00 00 02 "/a"; path`,
  ],
  [
    { kind: 'symlink', id: 18, targetPath: Buffer.from('../t'), linkPath: path },
    `
    00 00 00 13     ; length
    14              ; SSH_FXP_SYMLINK
    00 00 00 12     ; id
    00 00 00 04 "../t" ; targetpath: first, as OpenSSH has it (PROTOCOL, section 4.1)
    00 00 00 02 "/a"   ; linkpath`,
  ],
  [
    { kind: 'extended', id: 19, name: 'x@y', data: Buffer.from([1, 2]) },
    `
    00 00 00 0e     ; length
    c8              ; SSH_FXP_EXTENDED
    00 00 00 13     ; id
    00 00 00 03 "x@y" ; extended-request
    01 02           ; any request-specific data`,
  ],
];

const REPLIES: readonly (readonly [reply: Reply, drawing: string])[] = [
  [
    { kind: 'status', id: 1, status: 2, message: 'No such file', language: 'en' },
    `
    00 00 00 1f     ; length
    65              ; SSH_FXP_STATUS
    00 00 00 01     ; id
    00 00 00 02     ; error/status code: SSH_FX_NO_SUCH_FILE
    00 00 00 0c "No such file" ; error message
    00 00 00 02 "en"; language tag`,
  ],
  [
    { kind: 'handle', id: 2, handle },
    `
    00 00 00 0d     ; length
    66              ; SSH_FXP_HANDLE
    00 00 00 02     ; id
    00 00 00 04 00 ff 80 01 ; handle`,
  ],
  [
    { kind: 'data', id: 3, data: [Buffer.from('hello')] },
    `
    00 00 00 0e     ; length
    67              ; SSH_FXP_DATA
    00 00 00 03     ; id
    00 00 00 05 "hello" ; data`,
  ],
  [
    {
      kind: 'name',
      id: 4,
      names: [
        {
          filename: Buffer.from('f'),
          longname: Buffer.from('-rw f'),
          attributes: decoded({ mode: 0o100644 }),
        },
        { filename: Buffer.from([0xff]), longname: Buffer.alloc(0), attributes: none },
      ],
    },
    `
    00 00 00 2c     ; length
    68              ; SSH_FXP_NAME
    00 00 00 04     ; id
    00 00 00 02     ; count
    00 00 00 01 "f" ; filename
    00 00 00 05 "-rw f" ; longname
    00 00 00 04     ; attrs: SSH_FILEXFER_ATTR_PERMISSIONS
    00 00 81 a4     ;   permissions
    00 00 00 01 ff  ; filename
    00 00 00 00     ; longname
    00 00 00 00     ; attrs: none`,
  ],
  [
    {
      kind: 'attrs',
      id: 5,
      attributes: decoded({ size: 4096, uid: 1000, gid: 100, mode: 0o40755, atime: 1, mtime: 2 }),
    },
    `
    00 00 00 25     ; length
    69              ; SSH_FXP_ATTRS
    00 00 00 05     ; id
    00 00 00 0f     ; flags
    00 00 00 00 00 00 10 00 ; size
    00 00 03 e8     ; uid
    00 00 00 64     ; gid
    00 00 41 ed     ; permissions
    00 00 00 01     ; atime
    00 00 00 02     ; mtime`,
  ],
  [
    { kind: 'extendedReply', id: 6, data: Buffer.from([9, 8, 7]) },
    `
    00 00 00 08     ; length
    c9              ; SSH_FXP_EXTENDED_REPLY
    00 00 00 06     ; id
    09 08 07        ; any request-specific data`,
  ],
];

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return Buffer.concat(writer.take());
}

describe('the numbers of the protocol', () => {
  test('are those of the draft, and every packet is there', () => {
    const types = (table: Readonly<Record<string, { readonly type: number }>>) =>
      Object.fromEntries(Object.entries(table).map(([name, { type }]) => [name, type]));
    assert.deepEqual(types(handshakePackets), { init: 1, version: 2 });
    assert.deepEqual(types(requests), {
      open: 3,
      close: 4,
      read: 5,
      write: 6,
      lstat: 7,
      fstat: 8,
      setstat: 9,
      fsetstat: 10,
      opendir: 11,
      readdir: 12,
      remove: 13,
      mkdir: 14,
      rmdir: 15,
      realpath: 16,
      stat: 17,
      rename: 18,
      readlink: 19,
      symlink: 20,
      extended: 200,
    });
    assert.deepEqual(types(replies), {
      status: 101,
      handle: 102,
      data: 103,
      name: 104,
      attrs: 105,
      extendedReply: 201,
    });
    assert.equal(SFTP_VERSION, 3);
  });

  test('P9: each request names the one reply that means success', () => {
    const expected = {
      handle: ['open', 'opendir'],
      data: ['read'],
      name: ['readdir', 'realpath', 'readlink'],
      attrs: ['lstat', 'fstat', 'stat'],
      status: ['close', 'write', 'setstat', 'fsetstat', 'remove', 'mkdir', 'rmdir', 'rename', 'symlink'],
      extendedReply: ['extended'],
    };
    const pairs = Object.entries(expected).flatMap(([reply, names]) => names.map((name) => [name, reply]));
    const actual = Object.entries(requests).map(([name, { reply }]) => [name, reply]);
    assert.deepEqual(Object.fromEntries(actual), Object.fromEntries(pairs));
  });

  test('the flags of OPEN are those of section 6.3', () => {
    assert.deepEqual(SSH_FXF, { READ: 1, WRITE: 2, APPEND: 4, CREAT: 8, TRUNC: 16, EXCL: 32 });
  });
});

describe('the handshake', () => {
  const HANDSHAKES = [
    [
      'init',
      { version: 3, extensions: new Map() },
      `
      00 00 00 05   ; length
      01            ; SSH_FXP_INIT
      00 00 00 03   ; version`,
    ],
    [
      'version',
      {
        version: 3,
        extensions: new Map([
          ['a@b', Buffer.from('1')],
          ['newline', Buffer.from('\r\n')],
        ]),
      },
      `
      00 00 00 22   ; length
      02            ; SSH_FXP_VERSION
      00 00 00 03   ; version
      00 00 00 03 "a@b"     ; extension_name
      00 00 00 01 "1"       ; extension_data
      00 00 00 07 "newline" ; extension_name
      00 00 00 02 0d 0a     ; extension_data`,
    ],
  ] as const;

  for (const [name, values, drawing] of HANDSHAKES) {
    test(`${name.toUpperCase()} has exactly these bytes`, () => {
      assert.deepEqual(
        written((writer) => encodeHandshake(writer, name, values)),
        diagram(drawing),
      );
    });

    test(`${name.toUpperCase()} is read from exactly these bytes`, () => {
      const { version, extensions } = decodeHandshake(frameOf(diagram(drawing)), name);
      assert.equal(version, values.version);
      const pairs = [...extensions].map(([key, data]) => [key, Buffer.from(data)]);
      assert.deepEqual(pairs, [...values.extensions]);
    });
  }
});

describe('requests', () => {
  test('are all drawn here', () => {
    assert.deepEqual(
      REQUESTS.map(([{ kind }]) => kind),
      Object.keys(requests),
    );
  });

  for (const [request, drawing] of REQUESTS) {
    const { kind, id, ...fields } = request;
    test(`${kind.toUpperCase()} has exactly these bytes`, () => {
      assert.deepEqual(
        written((writer) => encodeRequest(writer, id, kind, fields as never)),
        diagram(drawing),
      );
    });

    test(`${kind.toUpperCase()} is read from exactly these bytes`, () => {
      assert.deepEqual(decodeRequest(frameOf(diagram(drawing))), request);
    });
  }
});

describe('replies', () => {
  test('are all drawn here', () => {
    assert.deepEqual(
      REPLIES.map(([{ kind }]) => kind),
      Object.keys(replies),
    );
  });

  for (const [reply, drawing] of REPLIES) {
    const { kind, id, ...fields } = reply;
    test(`${kind} has exactly these bytes`, () => {
      assert.deepEqual(
        written((writer) => encodeReply(writer, id, kind, fields as never)),
        diagram(drawing),
      );
    });

    test(`${kind} is read from exactly these bytes`, () => {
      assert.deepEqual(decodeReply(frameOf(diagram(drawing))), reply);
    });
  }
});
