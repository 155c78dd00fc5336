/** Commands that need no server. */
import { UsageError } from '../output/usage-error.js';

export async function runGuide(name: string, operands: readonly string[]): Promise<number> {
  if (name === 'demo') {
    const { runDemo } = await import('../demo/demo.js');
    return runDemo(operands);
  }
  if (name === 'manual') {
    const { manualPage } = await import('./manual-page.js');
    process.stdout.write(manualPage());
    return 0;
  }
  const { COMPLETIONS } = await import('./completion-scripts.js');
  const write = COMPLETIONS[operands[0] ?? ''];
  if (write === undefined || operands.length !== 1) {
    throw new UsageError(`completion takes the name of a shell: ${Object.keys(COMPLETIONS).join(', ')}`);
  }
  process.stdout.write(write());
  return 0;
}
