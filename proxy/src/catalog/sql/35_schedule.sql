-- Schedules: durations, cron expressions, and what the tiers make of them.

-- Milliseconds of a duration such as 250ms, 1s, 5m, 1h30m, 2d, 1w; NULL for a cron expression. The shortest is the pace of
-- Weir's scheduler.
CREATE OR REPLACE FUNCTION pgtrickle.schedule_milliseconds(schedule text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
DECLARE
    total numeric := 0;
    part text[];
BEGIN
    IF pgtrickle.is_cron(schedule) THEN RETURN NULL; END IF;
    IF schedule IS NULL OR schedule !~* '^\s*([0-9]+\s*(ms|[smhdw])\s*)+$' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid schedule "%s"', schedule),
            HINT = 'Use a duration such as 250ms, 1s, 5m or 1h30m, a cron expression such as */5 * * * *, or ''calculated''.';
    END IF;
    FOR part IN SELECT regexp_matches(lower(schedule), '([0-9]+)\s*(ms|[smhdw])', 'g') LOOP
        total := total + part[1]::numeric * CASE part[2]
            WHEN 'ms' THEN 1 WHEN 's' THEN 1000 WHEN 'm' THEN 60000 WHEN 'h' THEN 3600000 WHEN 'd' THEN 86400000 ELSE 604800000 END;
    END LOOP;
    IF total < 100 OR total > 3155760000000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('schedule "%s" is out of range', schedule),
            HINT = 'A schedule is at least 100 milliseconds and at most 100 years.';
    END IF;
    RETURN total::bigint;
END
$body$;

-- Whole seconds of a duration, rounded up.
CREATE OR REPLACE FUNCTION pgtrickle.parse_duration_seconds(duration text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
    SELECT (pgtrickle.schedule_milliseconds(duration) + 999) / 1000
$body$;

-- Looks like a cron expression: an alias, or five fields (minute, hour, day of month, month, day of week), or six with the
-- second in front.
CREATE OR REPLACE FUNCTION pgtrickle.is_cron(schedule text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
    SELECT coalesce(schedule ~ '^\s*@' OR schedule ~ '^\s*(\S+\s+){4,5}\S+\s*$' AND schedule !~* '^\s*([0-9]+\s*(ms|[smhdw])\s*)+$', false)
$body$;

-- 22023 unless every field of the cron expression says something within its range.
CREATE OR REPLACE FUNCTION pgtrickle.check_cron(schedule text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
DECLARE
    fields text[] := regexp_split_to_array(upper(btrim(schedule, E' \t\n')), '\s+');
    names text[] := ARRAY['second', 'minute', 'hour', 'day of month', 'month', 'day of week'];
    lowest int[] := ARRAY[0, 0, 0, 1, 1, 0];
    highest int[] := ARRAY[59, 59, 23, 31, 12, 7];
    item text;
    part text[];
    value text;
    problem text;
BEGIN
    IF schedule ~ '^\s*@' THEN
        IF lower(btrim(schedule)) NOT IN ('@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually') THEN
            RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid cron expression "%s"', schedule),
                HINT = 'The aliases are @hourly, @daily, @weekly, @monthly and @yearly.';
        END IF;
        RETURN;
    END IF;
    IF array_length(fields, 1) = 5 THEN fields := ARRAY['0'] || fields; END IF;
    FOR i IN 1..6 LOOP
        FOREACH item IN ARRAY string_to_array(fields[i], ',') LOOP
            -- first, last, step
            part := regexp_match(item, '^(\*|[0-9]{1,4}|[A-Z]{3})(?:-([0-9]{1,4}|[A-Z]{3}))?(?:/([0-9]{1,4}))?$');
            IF part IS NULL OR part[1] = '*' AND part[2] IS NOT NULL OR part[3]::int = 0 THEN
                problem := item;
                CONTINUE;
            END IF;
            FOR k IN 1..2 LOOP
                value := part[k];
                IF value ~ '^[A-Z]' THEN
                    part[k] := CASE i
                        WHEN 5 THEN array_position(ARRAY['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'], value)
                        WHEN 6 THEN array_position(ARRAY['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'], value) - 1 END;
                    IF part[k] IS NULL THEN problem := item; END IF;
                END IF;
            END LOOP;
            IF problem IS NULL AND part[1] <> '*'
                AND NOT (part[1]::int >= lowest[i] AND coalesce(part[2], part[1])::int <= highest[i] AND part[1]::int <= coalesce(part[2], part[1])::int) THEN
                problem := item;
            END IF;
        END LOOP;
        IF problem IS NOT NULL OR fields[i] = '' THEN
            RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid cron expression "%s"', schedule),
                DETAIL = format('"%s" is no %s.', problem, names[i]);
        END IF;
    END LOOP;
END
$body$;

-- NULL for 'calculated'; else the schedule as given, checked.
CREATE OR REPLACE FUNCTION pgtrickle.checked_schedule(schedule text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
BEGIN
    IF schedule IS NULL OR lower(btrim(schedule)) = 'calculated' THEN RETURN NULL; END IF;
    IF pgtrickle.is_cron(schedule) THEN
        PERFORM pgtrickle.check_cron(schedule);
    ELSE
        PERFORM pgtrickle.schedule_milliseconds(schedule);
    END IF;
    RETURN btrim(schedule);
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.checked_tier(tier text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
BEGIN
    IF lower(tier) NOT IN ('hot', 'warm', 'cold', 'frozen') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid tier "%s" (hot, warm, cold or frozen)', tier);
    END IF;
    RETURN lower(tier);
END
$body$;

-- How many times longer than its schedule a table of this tier waits; NULL: it is not scheduled at all.
CREATE OR REPLACE FUNCTION pgtrickle.tier_factor(tier text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
    SELECT CASE tier WHEN 'hot' THEN 1 WHEN 'warm' THEN 2 WHEN 'cold' THEN 10 END
$body$;
