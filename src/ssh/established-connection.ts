/** What connections of both transports have in common: the facts that they tell, and what one asks of a channel. */
import type { Duplex } from 'node:stream';
import { printable } from '../shared/printable.js';
import type { SecurityOptions } from './algorithms.js';
import type { ConnectionFacts, Negotiated, ServerKey, StreamOptions } from './ssh-connection.js';

/** What runs on a channel. */
export type ChannelRequest =
  | { readonly type: 'subsystem'; readonly name: string }
  | { readonly type: 'exec'; readonly command: string };

/** For messages. */
export function labelOf(request: ChannelRequest): string {
  return request.type === 'subsystem'
    ? `the subsystem ${printable(request.name)}`
    : `the command ${printable(request.command, 100)}`;
}

export abstract class EstablishedConnection {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly negotiated: Negotiated;
  readonly securityOptions: SecurityOptions;
  readonly remoteServerKey: ServerKey;

  constructor(facts: ConnectionFacts) {
    this.host = facts.host;
    this.port = facts.port;
    this.username = facts.username;
    this.negotiated = facts.negotiated;
    this.securityOptions = facts.securityOptions;
    this.remoteServerKey = facts.remoteServerKey;
  }

  /** A channel whose end is an error where it comes before ours. */
  protected abstract openStream(request: ChannelRequest, options: StreamOptions): Promise<Duplex>;

  async openSubsystem(name: string, options: StreamOptions = {}): Promise<Duplex> {
    return await this.openStream({ type: 'subsystem', name }, options);
  }

  async openCommand(command: string, options: StreamOptions = {}): Promise<Duplex> {
    return await this.openStream({ type: 'exec', command }, options);
  }
}
