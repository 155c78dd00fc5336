/** A range as a picture: both axes logarithmic, each line with its name at its end. */
import { RANGES, type RangeResult } from './ranges.js';
import { colourOf, document, dot, line, polyline, text } from './svg.js';

type Panel = RangeResult['panels'][number];
type Position = readonly [x: number, y: number];

const PANEL = { width: 440, height: 300 };
const MARGIN = { left: 44, right: 112, top: 46, bottom: 46 };
const INNER = {
  width: PANEL.width - MARGIN.left - MARGIN.right,
  height: PANEL.height - MARGIN.top - MARGIN.bottom,
};
const GRID = '#e4e4e4';
const QUIET = '#777';
const LABEL_HEIGHT = 14;
const OURS = 'tsftp';

export function renderPlot(result: RangeResult): string {
  const { panels } = result;
  const columns = Math.min(2, panels.length);
  const elements = panels.flatMap((panel, index) => {
    const x = (index % columns) * PANEL.width;
    const y = Math.floor(index / columns) * PANEL.height;
    return [`<g transform="translate(${x} ${y})">`, ...renderPanel(panel, result), '</g>'];
  });
  const rows = Math.ceil(panels.length / columns);
  return document(columns * PANEL.width, rows * PANEL.height, elements);
}

function renderPanel(panel: Panel, result: RangeResult): string[] {
  const points = [
    ...new Set(Object.values(panel.series).flatMap((own) => own.map(({ point }) => point))),
  ].sort((left, right) => left - right);
  const scale = scaleOf(result, points);
  const names = Object.keys(panel.series).sort(
    (left, right) => Number(left === OURS) - Number(right === OURS),
  );
  const lines = names.map((name) => ({
    name,
    positions: (panel.series[name] ?? []).map(
      ({ point, median }): Position => [scale.x(point), scale.y(median)],
    ),
  }));
  return [
    text(MARGIN.left, 22, panel.title, { weight: 600 }),
    ...verticalAxis(scale),
    ...horizontalAxis(result, points, scale),
    ...lines.flatMap(({ name, positions }) => renderLine(name, positions)),
    ...renderNames(lines),
  ];
}

interface Scale {
  readonly x: (point: number) => number;
  readonly y: (seconds: number) => number;
  /** Powers of ten. */
  readonly decades: readonly number[];
}

/** The same for all panels of a picture, so that they can be compared. */
function scaleOf({ panels }: RangeResult, points: readonly number[]): Scale {
  const seconds = panels.flatMap(({ series }) =>
    Object.values(series)
      .flat()
      .map(({ median }) => median),
  );
  const lowest = Math.floor(Math.log10(Math.min(...seconds)));
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...seconds))));
  // Nothing has no logarithm: it is drawn one step before the first value.
  const positive = points.filter((point) => point > 0);
  const [first = 1, second = 2 * first] = positive;
  const log = (point: number) => Math.log(point > 0 ? point : (first * first) / second);
  const [from, to] = [log(points[0] ?? 1), log(points.at(-1) ?? 1)];
  const share = (value: number) => (to === from ? 0.5 : (value - from) / (to - from));
  return {
    x: (point) => MARGIN.left + INNER.width * share(log(point)),
    y: (value) => MARGIN.top + INNER.height * (1 - (Math.log10(value) - lowest) / (highest - lowest)),
    decades: Array.from({ length: highest - lowest + 1 }, (_, index) => 10 ** (lowest + index)),
  };
}

function verticalAxis({ y, decades }: Scale): string[] {
  return decades.flatMap((decade) => [
    line(MARGIN.left, y(decade), MARGIN.left + INNER.width, y(decade), GRID),
    text(MARGIN.left - 8, y(decade) + 4, decade === decades.at(-1) ? `${write(decade)} s` : write(decade), {
      anchor: 'end',
      fill: QUIET,
    }),
  ]);
}

function write(decade: number): string {
  return decade >= 1 ? String(Math.round(decade)) : decade.toPrecision(1);
}

/** As many values as there is room for, the last one always. */
function horizontalAxis({ name, axis }: RangeResult, points: readonly number[], { x }: Scale): string[] {
  const y = MARGIN.top + INNER.height;
  const every = Math.ceil((points.length * 52) / INNER.width);
  const labels = points.map((point, index) =>
    (points.length - 1 - index) % every === 0
      ? text(x(point), y + 18, RANGES[name].write(point), { anchor: 'middle', fill: QUIET })
      : '',
  );
  const ticks = points.map((point) => line(x(point), y, x(point), y + 4, QUIET));
  const title = text(MARGIN.left + INNER.width / 2, y + 36, axis, { anchor: 'middle', fill: QUIET });
  return [...ticks, ...labels.filter((label) => label !== ''), title];
}

function renderLine(name: string, positions: readonly Position[]): string[] {
  const colour = colourOf(name);
  const [width, radius] = name === OURS ? [2.5, 3] : [1.5, 2];
  return [polyline(positions, colour, width), ...positions.map(([x, y]) => dot(x, y, radius, colour))];
}

/** Each at the end of its line, pushed apart where several lines end together. */
function renderNames(
  lines: readonly { readonly name: string; readonly positions: readonly Position[] }[],
): string[] {
  const labels = lines.flatMap(({ name, positions }) => {
    const [x, y] = positions.at(-1) ?? [];
    return x === undefined || y === undefined ? [] : [{ name, x: x + 7, y: y + 4 }];
  });
  labels.sort((left, right) => left.y - right.y);
  for (const [index, label] of labels.entries()) {
    const above = labels.slice(0, index).filter(({ x }) => Math.abs(x - label.x) < 60);
    label.y = Math.max(label.y, ...above.map(({ y }) => y + LABEL_HEIGHT));
  }
  return labels.map(({ name, x, y }) =>
    text(x, y, name, { fill: colourOf(name), weight: name === OURS ? 600 : 400 }),
  );
}
