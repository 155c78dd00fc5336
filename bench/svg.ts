/** The few elements of SVG that pictures of measurements are made of. */

/** Ours stands out; the others are told apart, and no more. */
const COLOURS: Readonly<Record<string, string>> = {
  tsftp: '#00796b',
  sftp: '#424242',
  'ssh cat': '#9e9e9e',
  ssh2: '#8e5ea2',
  'ssh2-sftp-client': '#8e5ea2',
  lftp: '#c06c3e',
  rclone: '#4a78b0',
};

export function colourOf(name: string): string {
  return COLOURS[name] ?? (name.startsWith('tsftp') ? '#80bdb5' : '#9e9e9e');
}

export interface TextStyle {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly fill?: string;
  readonly weight?: number;
}

export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { anchor = 'start', fill = '#333', weight = 400 } = style;
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const look = `text-anchor="${anchor}" fill="${fill}" font-weight="${weight}"`;
  return `<text x="${short(x)}" y="${short(y)}" ${look}>${escaped}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, stroke: string): string {
  return `<path d="M${short(x1)} ${short(y1)}L${short(x2)} ${short(y2)}" stroke="${stroke}"/>`;
}

export function polyline(
  points: readonly (readonly [number, number])[],
  stroke: string,
  width: number,
): string {
  const path = points.map(([x, y]) => `${short(x)} ${short(y)}`).join('L');
  return `<path d="M${path}" fill="none" stroke="${stroke}" stroke-width="${width}" stroke-linejoin="round"/>`;
}

export function dot(x: number, y: number, radius: number, fill: string): string {
  return `<circle cx="${short(x)}" cy="${short(y)}" r="${radius}" fill="${fill}"/>`;
}

export function bar(x: number, y: number, width: number, height: number, fill: string): string {
  return `<rect x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${height}" fill="${fill}"/>`;
}

export function document(width: number, height: number, elements: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`,
    ' font-family="system-ui, -apple-system, \'Segoe UI\', \'Helvetica Neue\', Arial, sans-serif" font-size="12">',
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...elements,
    '</svg>\n',
  ].join('\n');
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}
