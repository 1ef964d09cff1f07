// What the Node programs share: canonical printing, repeated reads, and the routes they took.

import { appendFileSync } from 'node:fs';

export const REPETITIONS = 12;

// Reads that applications make of stream tables: kind, text, parameters.
export const READS = [
  ['point', 'SELECT name, orders, spent FROM customer_totals WHERE id = $1', [17]],
  ['any', 'SELECT id, spent FROM customer_totals WHERE id = ANY($1) ORDER BY id', [[3, 5, 8]]],
  ['in', 'SELECT id, spent FROM customer_totals WHERE id IN ($1, $2, $3) ORDER BY id', [3, 5, 8]],
  ['top', 'SELECT id, name, spent FROM customer_totals ORDER BY spent DESC, id LIMIT 5', []],
  ['limit', 'SELECT id, spent FROM customer_totals ORDER BY id LIMIT $1 OFFSET $2', [5, 10]],
  ['join', 'SELECT t.id, t.spent, c.spent AS country FROM customer_totals t JOIN country_totals c ON c.country = t.country' +
    ' WHERE t.id < $1 ORDER BY t.id', [5]],
  ['aggregate', 'SELECT count(*), sum(spent), max(latest) FROM customer_totals', []],
  ['group', 'SELECT country, max(spent) FROM customer_totals GROUP BY country ORDER BY country', []],
  ['text', 'SELECT id, spent FROM customer_totals WHERE country = $1 ORDER BY id LIMIT 3', ['JP']],
  ['kinds', 'SELECT * FROM every_kind ORDER BY id', []],
];

export const pause = () => new Promise((resolve) => setTimeout(resolve, 10));

export function show(value) {
  if (value === undefined) return 'undefined';
  if (value instanceof Date) return `Date ${Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString()}`;
  if (Buffer.isBuffer(value)) return `Buffer ${value.toString('hex')}`;
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return `${typeof value} ${value}`;
  if (Array.isArray(value)) return `[${Array.from(value, show).join(', ')}]`;
  if (value && typeof value === 'object') {
    return `{${Object.entries(value).map(([k, v]) => `${k}: ${show(v)}`).join(', ')}}`;
  }
  return JSON.stringify(value);
}

export function say(label, value) {
  console.log(`${label}: ${typeof value === 'string' ? value : show(value)}`);
}

// Runs something that may fail, and prints which way it went.
export async function attempt(label, work) {
  try {
    say(label, await work());
  } catch (error) {
    say(label, `${error.name} ${error.code} ${error.message}`);
  }
}

export async function noteRoute(kind, ask) {
  if (process.env.WEIR_ROUTES) appendFileSync(process.env.WEIR_ROUTES, `${kind}\t${await ask('SHOW weir.last_route')}\n`);
}

// Runs a read as often as an application would; prints its answer once, and again whenever it changes.
export async function repeated(kind, read, ask) {
  let before;
  for (let n = 0; n < REPETITIONS; n++) {
    const found = show(Array.from(await read()));
    if (found !== before) say(kind, found);
    before = found;
    await pause();
  }
  await noteRoute(kind, ask);
}
