import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { megabytesPerSecond, renderTable } from '../../../../src/cli/demo/table.js';

describe('The table', () => {
  test('puts words to the left, figures to the right, and leaves no spaces at the end', () => {
    const table = renderTable([
      { label: 'Upload', files: 300, bytes: 3_632_046, seconds: 0.4 },
      { label: 'Compare', files: 1, bytes: 0, seconds: 12, verdict: 'identical' },
    ]);
    assert.deepEqual(table.split('\n'), [
      '         files      bytes  seconds  MB/s',
      'Upload     300  3,632,046     0.40   9.1',
      'Compare      1          0    12.00   0.0  identical',
    ]);
  });

  test('counts a megabyte as a million bytes, and knows no speed without time', () => {
    assert.equal(megabytesPerSecond(5_000_000, 2), '2.5');
    assert.equal(megabytesPerSecond(5, 0), '–');
  });
});
