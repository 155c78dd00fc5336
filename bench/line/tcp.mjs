// What plain TCP carries: node tcp.mjs serve, and node tcp.mjs get|put HOST SECONDS
import { connect, createServer } from 'node:net';

const [what, host, seconds] = process.argv.slice(2);
const PORT = 5201;
const block = Buffer.alloc(256 * 1024);

function send(socket) {
  const more = () => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.on('drain', more).on('error', () => {});
  more();
}

/** Counts from the second half on: at first TCP is only starting. */
function measure(socket, lastsMs, tell) {
  let [bytes, since] = [0, 0];
  socket
    .on('error', () => {})
    .on('data', (data) => {
      if (since !== 0) bytes += data.length;
    });
  setTimeout(() => {
    since = performance.now();
  }, lastsMs / 2);
  setTimeout(() => tell(((bytes * 8) / (performance.now() - since) / 1000).toFixed(2)), lastsMs);
}

if (what === 'serve') {
  createServer((socket) => {
    socket.once('data', (request) => {
      // Content may have come with it.
      const [, kind, lastsMs] = /^(\w+) (\d+)/.exec(request.toString());
      if (kind === 'get') send(socket);
      else measure(socket, Number(lastsMs), (rate) => socket.end(rate));
    });
  }).listen(PORT, host, () => console.log('ready'));
} else {
  const lastsMs = Number(seconds) * 1000;
  const socket = connect(PORT, host, () => {
    socket.write(`${what} ${lastsMs}\n`);
    if (what === 'put') send(socket);
  });
  const tell = (rate) => {
    console.log(rate);
    process.exit(0);
  };
  if (what === 'get') measure(socket, lastsMs, tell);
  else socket.on('data', (rate) => tell(rate.toString()));
}
