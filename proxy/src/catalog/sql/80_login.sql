-- The secrets that Weir needs to log in for a client where both connections use TLS: for Weir's own role only. Installed
-- by a superuser; where Weir's role is none, grant it EXECUTE. Nothing here depends on a setting of the caller.

CREATE OR REPLACE FUNCTION pgtrickle.login_secret(role_name text, OUT secret text, OUT obstacle text)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN o.obstacle IS NULL THEN a.rolpassword END, o.obstacle
    FROM pg_catalog.pg_authid a,
        LATERAL (SELECT CASE
            WHEN NOT a.rolcanlogin THEN 'may not log in'
            WHEN a.rolvaliduntil < pg_catalog.now() THEN 'password expired'
            WHEN a.rolpassword IS NULL THEN 'no password'
            WHEN pg_catalog.left(a.rolpassword, 14) <> 'SCRAM-SHA-256$' THEN 'md5 password'
            WHEN a.rolsuper THEN 'superuser'
        END) o(obstacle)
    WHERE a.rolname = role_name::pg_catalog.name
$$;

CREATE OR REPLACE FUNCTION pgtrickle.superuser_login_secret(role_name text) RETURNS text
LANGUAGE sql STABLE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.rolpassword
    FROM pg_catalog.pg_authid a
    WHERE a.rolname = role_name::pg_catalog.name AND a.rolsuper AND a.rolcanlogin
        AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil >= pg_catalog.now())
        AND pg_catalog.left(a.rolpassword, 14) = 'SCRAM-SHA-256$'
$$;

REVOKE ALL ON FUNCTION pgtrickle.login_secret(text), pgtrickle.superuser_login_secret(text) FROM PUBLIC;
