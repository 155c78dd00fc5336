/** Scenarios as a picture. */
import type { Result } from './report.js';
import { median } from './statistics.js';
import { bar, colourOf, document, text } from './svg.js';

const BAR_HEIGHT = 18;
const WIDTH = 640;
const LABEL_WIDTH = 150;

/** One bar for each contestant of each scenario, its length the median of its seconds. */
export function renderBars(results: readonly Result[]): string {
  const elements: string[] = [];
  let y = 10;
  for (const { id, title, measurements } of results) {
    elements.push(text(0, y + 12, `${id}: ${title}`, { weight: 600 }));
    y += BAR_HEIGHT + 4;
    const medians = Object.entries(measurements).map(
      ([name, runs]) => [name, median(runs.map(({ wallSeconds }) => wallSeconds))] as const,
    );
    const longest = Math.max(...medians.map(([, seconds]) => seconds));
    for (const [name, seconds] of medians) {
      const width = Math.max(1, ((WIDTH - LABEL_WIDTH - 70) * seconds) / longest);
      elements.push(text(10, y + 12, name));
      elements.push(bar(LABEL_WIDTH, y, width, 14, colourOf(name)));
      elements.push(text(LABEL_WIDTH + width + 6, y + 12, `${seconds.toFixed(2)} s`));
      y += BAR_HEIGHT;
    }
    y += 14;
  }
  return document(WIDTH, y, elements);
}
