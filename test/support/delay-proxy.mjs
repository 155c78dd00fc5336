// A TCP proxy that makes a long line of loopback: each direction is delayed by half a round trip.
// Usage: node delay-proxy.mjs TARGET_PORT RTT_MS; prints the port on which it listens.
import { connect, createServer } from 'node:net';

const [targetPort, roundTripMs] = process.argv.slice(2).map(Number);
const delayMs = roundTripMs / 2;
/** More than any line holds; a sender that fills it waits. */
const CAPACITY = 256 * 1024 * 1024;

const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ host: '127.0.0.1', port: targetPort, noDelay: true });
  carry(client, upstream);
  carry(upstream, client);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();

function carry(from, to) {
  const line = [];
  let held = 0;
  let timer;
  function deliver() {
    timer = undefined;
    const now = performance.now();
    to.cork();
    while (line.length > 0 && line[0].due <= now) {
      const { chunk } = line.shift();
      if (chunk === undefined) to.end();
      else {
        held -= chunk.length;
        to.write(chunk);
      }
    }
    to.uncork();
    if (held < CAPACITY && from.isPaused()) from.resume();
    if (line.length > 0) timer = setTimeout(deliver, line[0].due - performance.now());
  }
  function take(chunk) {
    line.push({ due: performance.now() + delayMs, chunk });
    held += chunk?.length ?? 0;
    if (held >= CAPACITY) from.pause();
    if (timer === undefined) timer = setTimeout(deliver, delayMs);
  }
  from.on('data', take);
  from.on('end', () => take(undefined));
  from.on('error', () => to.destroy());
  from.on('close', () => take(undefined));
}
