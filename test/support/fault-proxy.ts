/**
 * A TCP proxy that breaks the line at a place that the test chooses: when so many bytes have passed in one
 * direction, of the first connection or of each. Everything before that place is carried faithfully, so the same
 * numbers give the same fault; only where TCP cuts the stream into pieces is left to chance.
 *
 * @example
 * const proxy = await startFaultProxy(t, server.port);
 * proxy.fault = { kind: 'reset', direction: 'toClient', atByte: 100_000 };
 * await assert.rejects(connectThrough(proxy.port).get('file'));
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export type Direction = 'toServer' | 'toClient';

interface Place {
  readonly direction: Direction;
  /** The fault comes when so many bytes have passed in that direction. */
  readonly atByte: number;
}

export type LineFault = Place &
  (
    | {
        /**
         * `reset`: both ends get RST. `finish`: both ends get FIN, and nothing more. `silence`: nothing passes any
         * more, in either direction, and both ends stay open. `flip`: the lowest bit of the next byte is turned.
         */
        readonly kind: 'reset' | 'finish' | 'silence' | 'flip';
      }
    | { readonly kind: 'insert'; readonly bytes: Uint8Array }
    /** From there on so many bytes at a time, with a pause between. */
    | { readonly kind: 'trickle'; readonly bytes: number; readonly everyMs: number }
    /** From there on everything comes, and comes later. */
    | { readonly kind: 'delay'; readonly delayMs: number }
  );

export interface FaultProxy {
  readonly port: number;
  /** For connections that begin from now on. */
  fault: LineFault | undefined;
  /** For the next connections, one each, before `fault` counts. */
  readonly queue: LineFault[];
  /** Bytes that have passed over all connections. */
  readonly passed: Readonly<Record<Direction, number>>;
  /** Connections that are open now. */
  readonly open: number;
  /** How many connections there have been. */
  readonly connections: number;
}

export async function startFaultProxy(
  t: Pick<TestContext, 'after'>,
  targetPort: number | (() => number),
  targetHost = '127.0.0.1',
): Promise<FaultProxy> {
  const passed: Record<Direction, number> = { toServer: 0, toClient: 0 };
  const lines = new Set<Line>();
  const queue: LineFault[] = [];
  let connections = 0;
  let fault: LineFault | undefined;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const port = typeof targetPort === 'number' ? targetPort : targetPort();
    const upstream = connect({ host: targetHost, port, noDelay: true, allowHalfOpen: true });
    const line = new Line(client, upstream, queue.shift() ?? fault, passed);
    connections += 1;
    lines.add(line);
    client.once('close', () => lines.delete(line));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const line of lines) line.reset();
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get fault() {
      return fault;
    },
    set fault(next) {
      fault = next;
    },
    queue,
    passed,
    get open() {
      return lines.size;
    },
    get connections() {
      return connections;
    },
  };
}

class Line {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #fault: LineFault | undefined;
  readonly #passed: Record<Direction, number>;
  readonly #count: Record<Direction, number> = { toServer: 0, toClient: 0 };
  #isDown = false;

  constructor(
    client: Socket,
    upstream: Socket,
    fault: LineFault | undefined,
    passed: Record<Direction, number>,
  ) {
    this.#client = client;
    this.#upstream = upstream;
    this.#fault = fault;
    this.#passed = passed;
    this.#carry(client, upstream, 'toServer');
    this.#carry(upstream, client, 'toClient');
  }

  reset(): void {
    this.#isDown = true;
    for (const socket of [this.#client, this.#upstream]) {
      // Where a reset finds a write or an end under way, Node 20 spins for ever at the end of the process.
      const isIdle = socket.writableLength === 0 && !socket.writableEnded;
      if (isIdle && !socket.destroyed) socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  #carry(from: Socket, to: Socket, direction: Direction): void {
    from.on('data', (chunk: Buffer) => this.#pass(chunk, { from, to, direction }));
    from.on('end', () => {
      if (!this.#isDown) to.end();
    });
    from.on('error', () => {
      if (!this.#isDown) this.reset();
    });
    to.on('drain', () => from.resume());
    from.on('close', () => {
      if (!this.#isDown) to.destroySoon();
    });
  }

  #pass(chunk: Buffer, way: Way): void {
    if (this.#isDown) return;
    const fault = this.#fault;
    const at = fault?.direction === way.direction ? fault.atByte - this.#count[way.direction] : undefined;
    if (fault === undefined || at === undefined || at < 0 || at >= chunk.length) this.#send(chunk, way);
    else {
      this.#send(chunk.subarray(0, at), way);
      this.#break(fault, chunk.subarray(at), way);
    }
  }

  #send(chunk: Buffer, { from, to, direction }: Way): void {
    this.#count[direction] += chunk.length;
    this.#passed[direction] += chunk.length;
    if (chunk.length > 0 && !to.write(chunk)) from.pause();
  }

  #break(fault: LineFault, rest: Buffer, way: Way): void {
    switch (fault.kind) {
      case 'flip':
        this.#send(Buffer.concat([Buffer.of((rest[0] ?? 0) ^ 1), rest.subarray(1)]), way);
        return;
      case 'insert':
        this.#send(Buffer.concat([fault.bytes, rest]), way);
        return;
      case 'trickle':
        this.#trickle(rest, fault, way);
        return;
      case 'delay':
        this.#delay(rest, fault.delayMs, way);
        return;
      case 'silence':
        this.#isDown = true;
        return;
      case 'finish':
        this.#isDown = true;
        this.#client.end();
        this.#upstream.end();
        return;
      case 'reset':
        // What was let through before arrives: a reset would overtake it.
        way.to.write('', () => this.reset());
        this.#isDown = true;
    }
  }

  #delay(rest: Buffer, delayMs: number, way: Way): void {
    const { from } = way;
    const timers = new Set<NodeJS.Timeout>();
    // Timers of one length go off in their order.
    const later = (act: () => void) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        if (!this.#isDown) act();
      }, delayMs);
      timers.add(timer);
    };
    const send = (chunk: Buffer) => later(() => this.#send(chunk, way));
    from.removeAllListeners('data').removeAllListeners('end');
    from.on('data', send);
    from.on('end', () => later(() => way.to.end()));
    for (const socket of [this.#client, this.#upstream]) {
      socket.once('close', () => {
        for (const timer of timers) clearTimeout(timer);
      });
    }
    send(rest);
  }

  #trickle(rest: Buffer, { bytes, everyMs }: { bytes: number; everyMs: number }, way: Way): void {
    way.from.pause().removeAllListeners('data');
    way.from.removeAllListeners('end');
    const { to } = way;
    to.removeAllListeners('drain');
    let left = rest;
    const timer = setInterval(() => {
      if (to.destroyed) clearInterval(timer);
      else if (left.length > 0) {
        to.write(left.subarray(0, bytes));
        left = left.subarray(bytes);
      } else left = (way.from.read() as Buffer | null) ?? left;
    }, everyMs);
    to.once('close', () => clearInterval(timer));
  }
}

interface Way {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: Direction;
}
