/** A session against a scripted peer: the handshake is done before either side starts. */
import { Session, type SessionOptions } from '../../../src/session/session.js';
import { SftpClient } from '../../../src/session/sftp-client.js';
import {
  type Bytes,
  type ConversationOptions,
  converse,
  type ReceivedRequest,
  type ScriptedPeer,
} from '../../support/scripted-peer.js';

/** A request of whatever kind, to be answered. */
export type AnyRequest = Omit<ReceivedRequest<'stat'>, 'fields'>;

export interface Side {
  readonly session: Session;
  readonly client: SftpClient;
}

export interface SessionConversationOptions extends SessionOptions, ConversationOptions {
  /** What the peer announces, each with its data. */
  readonly extensions?: Readonly<Record<string, Bytes>>;
}

export function converseInSession<T>(
  script: (peer: ScriptedPeer) => Promise<void>,
  act: (side: Side) => Promise<T>,
  { extensions = {}, ...options }: SessionConversationOptions = {},
): Promise<T> {
  return converse(
    async (peer) => {
      await peer.handshake(extensions);
      await script(peer);
    },
    async (stream) => {
      const session = await Session.open(stream, options);
      return act({ session, client: new SftpClient({ session }) });
    },
    options,
  );
}

/** A promise that the other side waits for. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
