-- Asking a running Weir something from inside a function. The question travels as a non-transactional logical message
-- (the caller's transaction is still open), or in advisory locks where capture is by triggers, the answer as a row of pgtrickle.weir_answers.

-- Weir holds advisory lock ('weir', 0) on a control session for as long as it follows this database.
CREATE OR REPLACE FUNCTION pgtrickle.weir_is_connected() RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $body$
    SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 2003134834 AND objid = 0 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
$body$;

-- Puts a question where Weir sees it while this transaction is open and no stream carries messages: into the keys of
-- shared advisory locks, four bytes in each, the length first. False: it is too long.
CREATE OR REPLACE FUNCTION pgtrickle.ask_by_locks(question text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $body$
DECLARE
    bytes bytea := convert_to(question, 'UTF8');
    size int := length(bytes);
BEGIN
    -- The lock table has room for some thousands.
    IF size > 8000 THEN
        RETURN false;
    END IF;
    bytes := bytes || '\x000000'::bytea;
    PERFORM pg_try_advisory_xact_lock_shared(1464139775, size);
    PERFORM pg_try_advisory_xact_lock_shared(1464139776 + n, (get_byte(bytes, 4 * n) << 24)
        | (get_byte(bytes, 4 * n + 1) << 16) | (get_byte(bytes, 4 * n + 2) << 8) | get_byte(bytes, 4 * n + 3)) FROM generate_series(0, (size + 3) / 4 - 1) n;
    RETURN true;
END
$body$;

-- NULL: no answer within the time. Needs READ COMMITTED: an older snapshot would never show the answer.
CREATE OR REPLACE FUNCTION pgtrickle.ask_weir(question jsonb, wait interval) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $body$
DECLARE
    asked uuid := gen_random_uuid();
    given jsonb;
    deadline timestamptz := clock_timestamp() + wait;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RETURN NULL;
    END IF;
    BEGIN
        question := question || jsonb_build_object('request', asked);
        IF pgtrickle.capture_method() = 'trigger' THEN
            IF NOT pgtrickle.ask_by_locks(question::text) THEN
                RETURN NULL;
            END IF;
        ELSE
            PERFORM pg_logical_emit_message(false, 'weir', 'ask:' || question::text);
        END IF;
        -- The doorbell: Weir sees this lock and flushes the WAL, so that the question reaches the stream on an idle server.
        -- Taken inside a block that is rolled back, which releases it.
        PERFORM pg_try_advisory_xact_lock_shared(2003134834, 1);
        LOOP
            SELECT a.answer INTO given FROM pgtrickle.weir_answers a WHERE a.request = asked;
            EXIT WHEN given IS NOT NULL OR clock_timestamp() > deadline;
            PERFORM pg_sleep(0.005);
        END LOOP;
        RAISE EXCEPTION USING ERRCODE = 'WEIR1';
    EXCEPTION WHEN SQLSTATE 'WEIR1' THEN
        NULL;
    END;
    RETURN given;
END
$body$;
