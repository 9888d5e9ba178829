-- As a superuser, in each database that is reached through PgBouncer, and in template1 for those to come. Its variables
-- monitor_password, replicator_password and pooler_password are set before it, by \set: none is on a command line.
-- Run it again to change them.
\set ON_ERROR_STOP on
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kgents') AS is_new \gset
\if :is_new
CREATE ROLE kgents LOGIN CONNECTION LIMIT 5 IN ROLE pg_monitor;
CREATE ROLE replicator LOGIN REPLICATION CONNECTION LIMIT 10;
CREATE ROLE pooler LOGIN CONNECTION LIMIT 20;
\endif
SET log_statement = 'none';
SET log_min_duration_statement = -1;
ALTER ROLE kgents PASSWORD :'monitor_password';
ALTER ROLE replicator PASSWORD :'replicator_password';
ALTER ROLE pooler PASSWORD :'pooler_password';

-- The collector reads figures; it has no access to data, and gives up rather than wait.
ALTER ROLE kgents SET default_transaction_read_only = on;
ALTER ROLE kgents SET statement_timeout = '10s';
ALTER ROLE kgents SET lock_timeout = '1s';
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- PgBouncer asks for the password of who logs in, of no superuser, and of nothing else.
CREATE SCHEMA IF NOT EXISTS pooler AUTHORIZATION CURRENT_USER;
CREATE OR REPLACE FUNCTION pooler.login(INOUT name text, OUT password text) RETURNS record
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
$$SELECT usename::text, passwd FROM pg_shadow WHERE usename = $1 AND NOT usesuper AND usename NOT IN ('replicator')$$;
REVOKE ALL ON SCHEMA pooler FROM PUBLIC;
REVOKE ALL ON FUNCTION pooler.login(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pooler TO pooler;
GRANT EXECUTE ON FUNCTION pooler.login(text) TO pooler;
