/** Reads and writes the fields of a layout, one after the other. */
import type { ByteReader, ByteWriter } from './bytes.js';
import type { Layout, Values } from './fields.js';

export function readLayout<L extends Layout>(layout: L, reader: ByteReader): Values<L> {
  const values: Record<string, unknown> = {};
  for (const name in layout) values[name] = layout[name]?.read(reader);
  return values as Values<L>;
}

/** The callers' types tie `values` to the layout. */
export function writeLayout(
  layout: Layout,
  writer: ByteWriter,
  values: Readonly<Record<string, unknown>>,
): void {
  for (const name in layout) layout[name]?.write(writer, values[name]);
}
