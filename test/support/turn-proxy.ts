/**
 * A TCP proxy that counts the turns of a line: what a side says is carried once that side has been quiet for a while, so
 * that all that is said at once, or in answer to one turn of the other side, is one turn.
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

const QUIET_MS = 25;

export interface TurnProxy {
  readonly port: number;
  /** Of the client, on the connection that began last. */
  readonly turns: number;
}

export async function startTurnProxy(t: Pick<TestContext, 'after'>, targetPort: number): Promise<TurnProxy> {
  let turns = 0;
  const server = createServer((client) => {
    turns = 0;
    t.after(() => client.destroy());
    const begin = (): void => {
      const upstream = connect(targetPort, '127.0.0.1');
      t.after(() => upstream.destroy());
      const count = (): void => {
        turns += 1;
      };
      carry(client, upstream, { onTurn: count, firstAfterMs: 0 });
      carry(upstream, client, { onTurn: () => {}, firstAfterMs: QUIET_MS });
    };
    // On a long line the server hears of a connection no sooner than of what the client says at once.
    setTimeout(begin, QUIET_MS);
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    get turns() {
      return turns;
    },
  };
}

interface Side {
  readonly onTurn: () => void;
  readonly firstAfterMs: number;
}

function carry(from: Socket, to: Socket, { onTurn, firstAfterMs }: Side): void {
  let waitMs = firstAfterMs;
  let said: Buffer[] = [];
  let timer: NodeJS.Timeout | undefined;
  const speak = (): void => {
    waitMs = QUIET_MS;
    onTurn();
    to.write(Buffer.concat(said));
    said = [];
  };
  from.on('data', (chunk) => {
    said.push(chunk);
    clearTimeout(timer);
    timer = setTimeout(speak, waitMs);
  });
  from.on('error', () => to.destroy());
  from.on('close', () => {
    clearTimeout(timer);
    to.destroy();
  });
}
