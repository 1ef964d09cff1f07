// node-postgres: simple and extended queries, named statements, cursors, COPY streams, notifications, cancel, pools.

import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { attempt, noteRoute, pause, READS, REPETITIONS, repeated, say } from './common.mjs';
import { load, versionOf } from './load.mjs';

const pg = load('pg');
const Cursor = load('pg-cursor');
const QueryStream = load('pg-query-stream');
const copy = load('pg-copy-streams');

console.log(`pg ${versionOf('pg')}`);
const client = new pg.Client();
await client.connect();
const ask = async (sql) => Object.values((await client.query(sql)).rows[0])[0];
const rows = async (...query) => (await client.query(...query)).rows;

for (const [type, value] of [
  ['bool', true], ['int4', 7], ['int8', '4611686018427387904'], ['float8', 1.5], ['float8', Infinity], ['numeric', '1.50'],
  ['numeric', 'NaN'], ['text', 'größe'], ['text', ''], ['bytea', Buffer.from([0, 255])], ['date', '2024-02-29'],
  ['timestamptz', new Date(Date.UTC(2024, 1, 29))], ['interval', '1 day 02:03:04'], ['json', { a: [1, null] }],
  ['jsonb', JSON.stringify([1])], ['int4[]', [1, 2, null]], ['text[]', ['a,b', null, '"q"']], ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['text', null],
]) {
  await attempt(`echo ${type}`, () => rows(`SELECT $1::${type} AS v`, [value]));
}
for (const table of ['kinds', 'every_kind', 'extremes', 'every_extreme', 'documents', 'every_document']) {
  for (let id = 1; id <= 5; id++) {
    for (let n = 0; n < 4; n++) await attempt(table, () => rows(`SELECT * FROM ${table} WHERE id = $1`, [id]));
    await attempt(`${table} array`, () => rows({ text: `SELECT * FROM ${table} WHERE id = $1`, values: [id], rowMode: 'array' }));
  }
}
for (const [kind, text, values] of READS) {
  await repeated(kind, () => rows(text, values), ask);
  await repeated(`${kind} named`, () => rows({ name: kind, text, values }), ask);
  if (values.length === 0) await repeated(`${kind} simple`, () => rows(text), ask);
}
// Its binary mode cannot parse every type.
for (let id = 1; id < 9; id++) {
  await attempt('binary', () => rows({ text: 'SELECT id, name, orders FROM customer_totals WHERE id = $1', values: [id], binary: true }));
}
const described = await client.query('SELECT name, spent, latest FROM customer_totals WHERE id = $1', [17]);
say('fields', described.fields.map((f) => [f.name, f.dataTypeID, f.dataTypeModifier, f.tableID > 0, f.columnID]));

// Queries sent without waiting: node-postgres queues them itself.
for (let n = 0; n < REPETITIONS; n++) {
  const found = await Promise.all([3, 5, 8].map((id) => rows('SELECT spent FROM customer_totals WHERE id = $1', [id])));
  say('together', found);
}

await client.query('BEGIN');
await client.query('INSERT INTO scratch VALUES ($1, $2, $3, NULL)', [1, 'a', 1.5]);
await client.query('SAVEPOINT one');
await attempt('unique', () => rows('INSERT INTO scratch VALUES (1)'));
await attempt('failed block', () => rows('SELECT 1'));
await client.query('ROLLBACK TO one');
say('own writes', await rows('SELECT * FROM scratch_totals'));
await client.query('COMMIT');
say('committed', await rows('SELECT * FROM scratch_totals'));
for (const begin of ['BEGIN', 'BEGIN READ ONLY', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION ISOLATION LEVEL SERIALIZABLE']) {
  for (let n = 0; n < REPETITIONS; n++) {
    await client.query(begin);
    say(begin, await rows('SELECT spent FROM customer_totals WHERE id = $1', [17]));
    if (n === REPETITIONS - 1) await noteRoute(`in a block: ${begin}`, ask);
    await client.query('COMMIT');
    await pause();
  }
}

const cursor = client.query(new Cursor('SELECT id, spent FROM customer_totals WHERE id < $1 ORDER BY id', [50]));
say('cursor', await cursor.read(3));
say('cursor', await cursor.read(2));
await cursor.close();
for (let n = 0; n < REPETITIONS; n++) {
  let count = 0;
  for await (const row of client.query(new QueryStream('SELECT * FROM order_lines WHERE id < $1', [500], { batchSize: 100 }))) count += row.quantity;
  say('stream', count);
}
await noteRoute('cursor with a row limit', ask);
say('big', (await rows("SELECT repeat('x', 1000) AS x FROM generate_series(1, 20000)")).length);
say('lines', (await rows('SELECT * FROM order_lines')).length);

const source = Readable.from((function* () { for (let n = 0; n < 5000; n++) yield `${1000 + n}\tcopy ${n % 5}\t${n}\t\\N\n`; })());
await pipeline(source, client.query(copy.from('COPY scratch FROM STDIN')));
say('copied in', await rows('SELECT * FROM scratch_totals ORDER BY label'));
say('copied out', (await buffer(client.query(copy.to('COPY (SELECT id, spent FROM customer_totals ORDER BY id LIMIT 5) TO STDOUT')))).toString());
await attempt('copy fails', () => pipeline(Readable.from(['not a number\n']), client.query(copy.from('COPY scratch FROM STDIN'))));
say('after it', await rows('SELECT count(*) FROM scratch'));

client.on('notice', (notice) => say('notice', `${notice.severity} ${notice.message}`));
await client.query("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $$");
const heard = new Promise((resolve) => {
  const all = [];
  client.on('notification', (message) => { all.push([message.channel, message.payload]); if (all.length === 3) resolve(all); });
});
await client.query('LISTEN news');
const other = new pg.Client();
await other.connect();
for (let n = 0; n < 3; n++) await other.query('SELECT pg_notify($1, $2)', ['news', `message ${n}`]);
say('notified', await heard);
await client.query('UNLISTEN *');
setTimeout(() => other.query('SELECT pg_cancel_backend($1)', [client.processID]), 300);
await attempt('cancel', () => rows('SELECT pg_sleep(30)'));
await client.query('SET statement_timeout = 200');
await attempt('timeout', () => rows('SELECT pg_sleep(30)'));
await client.query('RESET statement_timeout');
say('several', (await client.query('SELECT 1 AS a; SELECT 2 AS b; SELECT spent FROM customer_totals WHERE id = 17')).map((r) => r.rows));
await attempt('several, one fails', () => rows('INSERT INTO scratch VALUES (800); SELECT 1/0'));
say('undone', await rows('SELECT count(*) FROM scratch WHERE id = 800'));
await attempt('wrong parameters', () => rows('SELECT $1::int, $2::int', [1]));
await attempt('syntax', () => rows('SELEC'));
await attempt('empty', () => rows(''));

let wrong = 0;
for (let n = 0; n < 200; n++) {
  await client.query("INSERT INTO scratch VALUES ($1, 'mine', 1, NULL)", [30000 + n]);
  const found = await rows('SELECT rows FROM scratch_totals WHERE label = $1', ['mine']);
  if (found[0]?.rows !== String(n + 1)) wrong += 1;
}
say('writes not seen', wrong);
await noteRoute('after own insert', ask);
await other.end();
await client.end();

const pool = new pg.Pool({ max: 4 });
for (let n = 0; n < REPETITIONS; n++) {
  const found = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((id) => pool.query('SELECT spent FROM customer_totals WHERE id = $1', [id])));
  say('pool', found.map((r) => r.rows[0].spent));
}
await pool.end();
