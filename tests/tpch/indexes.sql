-- Beside the primary keys, the foreign keys that the queries look up. Without them Postgres scans lineitem once for
-- every part of q17 and q20.
CREATE INDEX ON orders (o_custkey);
CREATE INDEX ON lineitem (l_partkey, l_suppkey);
CREATE INDEX ON partsupp (ps_suppkey);
ANALYZE
