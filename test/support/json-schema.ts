/** As much of JSON Schema as the schema of the command line uses. */

type Schema = Readonly<Record<string, unknown>>;

/** What is wrong with a value: empty where it fits. Words of a schema that are not known here are wrong too. */
export function violations(root: unknown, value: unknown): readonly string[] {
  return check(root as Schema, root as Schema, value, '');
}

const KNOWN: ReadonlySet<string> = new Set([
  ...['$schema', '$id', '$defs', '$ref', 'title', 'description', 'type', 'oneOf', 'const', 'enum'],
  ...['minimum', 'properties', 'required', 'additionalProperties'],
]);

function check(root: Schema, schema: Schema, value: unknown, at: string): readonly string[] {
  const unknown = Object.keys(schema).filter((word) => !KNOWN.has(word));
  if (unknown.length > 0) return [`${at}: the schema uses ${unknown.join(', ')}`];
  const { $ref, oneOf } = schema;
  const found = [...checkValue(schema, value, at), ...checkFields(root, schema, value, at)];
  if (typeof $ref === 'string') found.push(...check(root, referred(root, $ref), value, at));
  if (Array.isArray(oneOf)) {
    const fitting = oneOf.filter((each) => check(root, each as Schema, value, at).length === 0);
    if (fitting.length !== 1) found.push(`${at} fits ${fitting.length} of the alternatives`);
  }
  return found;
}

function checkValue({ type, minimum, ...schema }: Schema, value: unknown, at: string): readonly string[] {
  const rules: readonly (readonly [boolean, string])[] = [
    [type === undefined || [type].flat().some((name) => isOf(String(name), value)), `is not ${type}`],
    [!('const' in schema) || schema.const === value, `is not ${schema.const}`],
    [!Array.isArray(schema.enum) || schema.enum.includes(value), `is none of ${schema.enum}`],
    [typeof minimum !== 'number' || Number(value) >= minimum, `is less than ${minimum}`],
  ];
  return rules.filter(([fits]) => !fits).map(([, text]) => `${at} ${text}`);
}

function checkFields(root: Schema, schema: Schema, value: unknown, at: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const fields = value as Readonly<Record<string, unknown>>;
  const { required = [], properties = {}, additionalProperties } = schema;
  const missing = (required as readonly string[]).filter((name) => !(name in fields));
  const wrong = Object.entries(fields).flatMap(([name, field]) => {
    const own = (properties as Readonly<Record<string, Schema>>)[name];
    if (own !== undefined) return check(root, own, field, `${at}.${name}`);
    return additionalProperties === false ? [`${at}.${name} is not in the schema`] : [];
  });
  return [...missing.map((name) => `${at}.${name} is missing`), ...wrong];
}

function referred(root: Schema, path: string): Schema {
  return path
    .split('/')
    .slice(1)
    .reduce<unknown>((at, name) => (at as Schema)[name], root) as Schema;
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
