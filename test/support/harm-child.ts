/** A program that carries out one case over the connections that it is given, to be killed meanwhile. */
import { Socket } from 'node:net';
import { type HarmCase, runCase } from './harm-case.js';
import { openConnection } from './stream-connection.js';

const one = JSON.parse(process.argv[2] ?? '') as HarmCase;
const first = await openConnection(new Socket({ fd: 3 }));
const second = await openConnection(new Socket({ fd: 4 }));
await runCase(one, [first, second]);
await Promise.all([first.close(), second.close()]);
