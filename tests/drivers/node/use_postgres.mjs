// postgres.js: pipelined by design, named statements described first, cursors, COPY, notifications, cancel.

import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { attempt, noteRoute, pause, READS, REPETITIONS, repeated, say } from './common.mjs';
import { load, versionOf } from './load.mjs';

const postgres = load('postgres');
console.log(`postgres.js ${versionOf('postgres')}`);
const notices = [];
const options = { host: process.env.PGHOST, port: Number(process.env.PGPORT), onnotice: (notice) => notices.push(`${notice.severity} ${notice.message}`) };
const sql = postgres({ ...options, max: 1 });
const ask = async (text) => Object.values((await sql.unsafe(text))[0])[0];

for (const value of [true, 7, 1.5, 'größe', '', new Date(Date.UTC(2024, 1, 29)), Buffer.from([0, 255]), null]) {
  await attempt('echo', () => sql`SELECT ${value} AS v`);
}
await attempt('echo bigint', () => sql`SELECT ${'4611686018427387904'}::int8 AS v`);
await attempt('echo json', () => sql`SELECT ${sql.json({ a: [1, null] })}::jsonb AS v`);
await attempt('echo array', () => sql`SELECT ${sql.array([1, 2, 3])} AS v, ${['a,b', '"q"']}::text[] AS w`);
for (const table of ['kinds', 'every_kind', 'extremes', 'every_extreme', 'documents', 'every_document']) {
  for (let id = 1; id <= 5; id++) {
    for (let n = 0; n < 4; n++) await attempt(table, () => sql`SELECT * FROM ${sql(table)} WHERE id = ${id}`);
    await attempt(`${table} values`, () => sql`SELECT * FROM ${sql(table)} WHERE id = ${id}`.values());
    await attempt(`${table} raw`, () => sql`SELECT * FROM ${sql(table)} WHERE id = ${id}`.raw());
  }
}
for (const [kind, text, values] of READS) {
  await repeated(kind, () => sql.unsafe(text, values, { prepare: true }), ask);
  await repeated(`${kind} unprepared`, () => sql.unsafe(text, values, { prepare: false }), ask);
  if (values.length === 0) await repeated(`${kind} simple`, () => sql.unsafe(text).simple(), ask);
}
await repeated('in list', () => sql`SELECT id, spent FROM customer_totals WHERE id IN ${sql([3, 5, 8])} ORDER BY id`, ask);
say('describe', (await sql`SELECT name, spent FROM customer_totals WHERE id = ${17}`.describe()).types);

// Sent before the first is answered: one pipeline.
for (let n = 0; n < REPETITIONS; n++) {
  say('together', await Promise.all([3, 5, 8].map((id) => sql`SELECT spent FROM customer_totals WHERE id = ${id}`)));
  await pause();
}
await noteRoute('pipeline', ask);

for (let n = 0; n < REPETITIONS; n++) {
  await sql.begin(async (sql) => {
    say('block', await sql`SELECT spent FROM customer_totals WHERE id = ${17}`);
    await noteRoute('in a transaction block', async (text) => Object.values((await sql.unsafe(text))[0])[0]);
  });
  await pause();
}
await sql.begin('ISOLATION LEVEL REPEATABLE READ READ ONLY', async (sql) => say('snapshot', await sql`SELECT count(*) FROM customer_totals`));
await attempt('rolled back', () => sql.begin(async (sql) => {
  await sql`INSERT INTO scratch VALUES (1, 'a', 1.5, NULL)`;
  say('own writes', await sql`SELECT * FROM scratch_totals`);
  await attempt('savepoint', () => sql.savepoint(async (sql) => sql`INSERT INTO scratch VALUES (1)`));
  say('goes on', await sql`SELECT * FROM scratch_totals`);
  throw new Error('changed my mind');
}));
say('rolled back', await sql`SELECT * FROM scratch_totals`);
await sql.begin((sql) => [sql`INSERT INTO scratch VALUES (2, 'b', 1, NULL)`, sql`SELECT * FROM scratch_totals`, sql`SELECT 1`]);
say('pipelined transaction', await sql`SELECT * FROM scratch_totals`);
say('helper', await sql`INSERT INTO scratch ${sql([{ id: 10, label: 'h' }, { id: 11, label: 'h' }])} RETURNING *`);

let count = 0;
await sql`SELECT id FROM customer_totals ORDER BY id`.cursor(50, (rows) => { count += rows.length; });
say('cursor', count);
count = 0;
for await (const rows of sql`SELECT id FROM order_lines ORDER BY id`.cursor(300)) { count += rows.length; if (count >= 900) break; }
say('cursor left early', count);
await noteRoute('cursor with a row limit', ask);
count = 0;
await sql`SELECT * FROM order_lines`.forEach(() => { count += 1; });
say('forEach', count);
say('big', (await sql`SELECT repeat('x', 1000) AS x FROM generate_series(1, 20000)`).length);

const source = Readable.from((function* () { for (let n = 0; n < 5000; n++) yield `${1000 + n}\tcopy ${n % 5}\t${n}\t\\N\n`; })());
await pipeline(source, await sql`COPY scratch FROM STDIN`.writable());
say('copied in', await sql`SELECT * FROM scratch_totals ORDER BY label`);
say('copied out', (await buffer(await sql`COPY (SELECT id, spent FROM customer_totals ORDER BY id LIMIT 5) TO STDOUT`.readable())).toString());

await sql`DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $$`;
say('notices', notices);
const heard = new Promise((resolve) => {
  const all = [];
  sql.listen('news', (payload) => { all.push(payload); if (all.length === 3) resolve(all); }).then(async () => {
    for (let n = 0; n < 3; n++) await sql.notify('news', `message ${n}`);
  });
});
say('notified', await heard);
const slow = sql`SELECT pg_sleep(30)`;
setTimeout(() => slow.cancel(), 300);
await attempt('cancel', () => slow);
say('after it', await sql`SELECT spent FROM customer_totals WHERE id = ${17}`);
say('several', await sql.unsafe('SELECT 1 AS a; SELECT 2 AS b; SELECT spent FROM customer_totals WHERE id = 17'));
await attempt('several, one fails', () => sql.unsafe('INSERT INTO scratch VALUES (800); SELECT 1/0'));
say('undone', await sql`SELECT count(*) FROM scratch WHERE id = 800`);
await attempt('syntax', () => sql`SELEC`);
await attempt('division', () => sql`SELECT 1 / ${0}::int`);

let wrong = 0;
for (let n = 0; n < 200; n++) {
  await sql`INSERT INTO scratch VALUES (${30000 + n}, 'mine', 1, NULL)`;
  const found = await sql`SELECT rows FROM scratch_totals WHERE label = ${'mine'}`;
  if (found[0]?.rows !== String(n + 1)) wrong += 1;
}
say('writes not seen', wrong);
await noteRoute('after own insert', ask);
await sql.end();

const pool = postgres({ ...options, max: 4 });
for (let n = 0; n < REPETITIONS; n++) {
  say('pool', await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((id) => pool`SELECT spent FROM customer_totals WHERE id = ${id}`.then((r) => r[0].spent))));
}
await pool.end();
