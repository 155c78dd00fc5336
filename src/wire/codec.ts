/** Packets ↔ frames, by the tables of packets.ts. */
import { Buffer } from 'node:buffer';
import { ProtocolError } from '../errors.js';
import { release } from '../shared/lent-memory.js';
import { ByteReader, type ByteWriter, byteLength, split } from './bytes.js';
import type { Layout } from './fields.js';
import { type Frame, MAX_PACKET_LENGTH } from './framing.js';
import { readLayout, writeLayout } from './layout.js';
import {
  type HandshakeFields,
  handshakePackets,
  type Reply,
  type ReplyFields,
  type ReplyName,
  type Request,
  type RequestFields,
  type RequestName,
  replies,
  requests,
} from './packets.js';

export function encodeHandshake(
  writer: ByteWriter,
  name: keyof typeof handshakePackets,
  values: HandshakeFields,
): void {
  const { type, fields } = handshakePackets[name];
  writer.frame(() => {
    writer.uint8(type);
    writeLayout(fields, writer, values);
  });
}

/** @throws RangeError where the packet would be longer than peers take; nothing of it is written then. */
export function encodeRequest<N extends RequestName>(
  writer: ByteWriter,
  id: number,
  name: N,
  values: RequestFields<N>,
): void {
  encode(writer, requests[name], id, values);
}

export function encodeReply<N extends ReplyName>(
  writer: ByteWriter,
  id: number,
  name: N,
  values: ReplyFields<N>,
): void {
  encode(writer, replies[name], id, values);
}

function encode(
  writer: ByteWriter,
  packet: { readonly type: number; readonly fields: Layout },
  id: number,
  values: Readonly<Record<string, unknown>>,
): void {
  writer.frame(() => {
    const before = writer.length;
    writer.uint8(packet.type);
    writer.uint32(id);
    writeLayout(packet.fields, writer, values);
    const length = writer.length - before;
    if (length <= MAX_PACKET_LENGTH) return;
    throw new RangeError(
      `A packet of ${length} bytes cannot be sent: at most ${MAX_PACKET_LENGTH} are allowed`,
    );
  });
}

/** @throws ProtocolError where the frame is not that packet. */
export function decodeHandshake(frame: Frame, name: keyof typeof handshakePackets): HandshakeFields {
  const { type, fields } = handshakePackets[name];
  if (frame.type !== type) {
    throw new ProtocolError(
      `Expected ${name.toUpperCase()} (${type}) and got a packet of type ${frame.type}`,
    );
  }
  return readLayout(fields, new ByteReader(joined(frame.body)));
}

/** @throws ProtocolError where the frame is no reply, or not a whole one. */
export function decodeReply(frame: Frame): Reply {
  if (frame.type === replies.data.type) return decodeData(frame);
  return decode(frame, repliesByType) as Reply;
}

/** @throws ProtocolError where the frame is no request, or not a whole one. */
export function decodeRequest(frame: Frame): Request {
  return decode(frame, requestsByType) as Request;
}

type Row = readonly [kind: string, fields: Layout];

function byType(
  table: Readonly<Record<string, { readonly type: number; readonly fields: Layout }>>,
): ReadonlyMap<number, Row> {
  return new Map(Object.entries(table).map(([kind, { type, fields }]) => [type, [kind, fields]]));
}

const repliesByType = byType(replies);
const requestsByType = byType(requests);

/** Bytes after the last field are let pass: some servers append their own. */
function decode(frame: Frame, table: ReadonlyMap<number, Row>): { kind: string; id: number } {
  const row = table.get(frame.type);
  if (row === undefined) throw new ProtocolError(`A packet of type ${frame.type} is not allowed here`);
  const reader = new ByteReader(joined(frame.body));
  const id = reader.uint32();
  const [kind, fields] = row;
  return Object.assign({ kind, id }, readLayout(fields, reader));
}

/** A DATA reply keeps its content in the pieces in which it came; those without any are given back. */
function decodeData(frame: Frame): Reply {
  const header = split(frame.body, 8);
  release(frame.body.slice(0, frame.body.length - header.tail.length));
  const reader = new ByteReader(joined(header.head));
  const id = reader.uint32();
  const length = reader.uint32();
  const present = byteLength(header.tail);
  if (length > present) {
    throw new ProtocolError(`A field of ${length} bytes does not fit: ${present} bytes are left`);
  }
  return { kind: 'data', id, data: length === present ? header.tail : split(header.tail, length).head };
}

function joined(pieces: readonly Buffer[]): Buffer {
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}
