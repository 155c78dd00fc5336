import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runConnects } from '../../support/connect-run.js';
import { serverKinds } from '../../support/servers.js';

describe('connecting and closing again and again', () => {
  for (const { name, skip, start } of serverKinds) {
    test(`leaves no descriptor, no timer and no memory, with ${name}`, { skip }, async () => {
      const server = await start();
      try {
        const { descriptors, resources, bytesPerConnect } = await runConnects(server, 60);
        assert.ok(descriptors <= 0, `${descriptors} descriptors`);
        assert.ok(resources <= 0, `${resources} timers and the like`);
        assert.ok(bytesPerConnect < 20_000, `${bytesPerConnect} bytes for each connect`);
      } finally {
        await server.stop();
      }
    });
  }
});
