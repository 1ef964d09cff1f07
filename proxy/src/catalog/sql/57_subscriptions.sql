-- Being told when a stream table has changed: a NOTIFY on a channel of the subscriber's choice, sent by Weir after the change
-- can be read from memory. A wake-up, not a log: changes that follow each other closely are told of once, and none is told of
-- that happened while no Weir ran.

CREATE TABLE IF NOT EXISTS pgtrickle.pgt_subscriptions (
    pgt_id bigint NOT NULL REFERENCES pgtrickle.pgt_stream_tables ON DELETE CASCADE,
    channel name NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pgt_id, channel)
);
GRANT SELECT, INSERT, DELETE ON pgtrickle.pgt_subscriptions TO PUBLIC;
ALTER TABLE pgtrickle.pgt_subscriptions ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS everyone_reads ON pgtrickle.pgt_subscriptions;
CREATE POLICY everyone_reads ON pgtrickle.pgt_subscriptions FOR SELECT USING (true);
-- Who may read the rows may know that they have changed.
DROP POLICY IF EXISTS readers_subscribe ON pgtrickle.pgt_subscriptions;
CREATE POLICY readers_subscribe ON pgtrickle.pgt_subscriptions FOR INSERT
    WITH CHECK (EXISTS (SELECT FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_id = pgt_subscriptions.pgt_id AND pg_catalog.has_table_privilege(s.pgt_relid, 'SELECT')));
DROP POLICY IF EXISTS readers_unsubscribe ON pgtrickle.pgt_subscriptions;
CREATE POLICY readers_unsubscribe ON pgtrickle.pgt_subscriptions FOR DELETE
    USING (EXISTS (SELECT FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_id = pgt_subscriptions.pgt_id AND pg_catalog.has_table_privilege(s.pgt_relid, 'SELECT')));
DROP TRIGGER IF EXISTS catalog_mark ON pgtrickle.pgt_subscriptions;
CREATE TRIGGER catalog_mark AFTER INSERT OR DELETE ON pgtrickle.pgt_subscriptions FOR EACH ROW EXECUTE FUNCTION pgtrickle.catalog_mark();
ALTER TABLE pgtrickle.pgt_subscriptions ENABLE ALWAYS TRIGGER catalog_mark;

CREATE OR REPLACE FUNCTION pgtrickle.subscribe(stream_table text, channel text) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(stream_table);
BEGIN
    IF channel IS NULL OR channel = '' OR length(channel) > 63 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid channel "%s"', channel);
    END IF;
    INSERT INTO pgtrickle.pgt_subscriptions (pgt_id, channel) VALUES (st.pgt_id, subscribe.channel) ON CONFLICT DO NOTHING;
END
$body$;

-- The rows and then the changes, streamed: Weir answers COPY of it. What comes here is refused as a read of the table would be,
-- and otherwise by name.
CREATE OR REPLACE FUNCTION pgtrickle.subscribe(stream_table text) RETURNS TABLE ("position" pg_lsn, change text) LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(stream_table);
BEGIN
    EXECUTE format('SELECT FROM %s LIMIT 0', st.pgt_relid::regclass);
    RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'a subscription is streamed by Weir, over COPY and outside of a transaction block',
        HINT = format('Send COPY (SELECT * FROM pgtrickle.subscribe(%L)) TO STDOUT. Where that was sent, SHOW weir.last_route says why it was not answered.', stream_table);
END
$body$;

-- False: there was no such subscription.
CREATE OR REPLACE FUNCTION pgtrickle.unsubscribe(stream_table text, channel text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(stream_table);
BEGIN
    DELETE FROM pgtrickle.pgt_subscriptions s WHERE s.pgt_id = st.pgt_id AND s.channel = unsubscribe.channel;
    RETURN FOUND;
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.list_subscriptions() RETURNS TABLE (stream_table text, channel text, created_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT s.pgt_schema || '.' || s.pgt_name, u.channel::text, u.created_at
    FROM pgtrickle.pgt_subscriptions u JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = u.pgt_id ORDER BY 1, 2
$body$;
