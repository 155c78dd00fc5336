import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listDifferences } from './differences.js';

test('each difference names a test of the contract', () => {
  const folder = import.meta.dirname;
  const sources = readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  const suites = sources.flatMap((text) => text.split(/^describeContract\(/m).slice(1));
  for (const [oddity, suite, name] of listDifferences()) {
    const isThere = suites.some((text) => startsWith(text, suite) && has(text, name));
    assert.ok(isThere, `a server that ${oddity}: ${suite}: ${name}`);
  }
});

function startsWith(text: string, name: string): boolean {
  return text.startsWith(`'${name}',`);
}

function has(text: string, name: string): boolean {
  return text.includes(`test('${name}',`) || text.includes(`test("${name}",`);
}
