-- The logins of who observes, pools and copies, as roles.sql makes them, with the passwords of the Secrets.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\set database `printf %s "$DATABASE"`
\set monitor_password `cat "$SECRETS/monitor/password"`
\set replicator_password `cat "$SECRETS/replicator/password"`
\set pooler_password `cat "$SECRETS/pooler/password"`
-- Its owner may have dropped it, which must not keep the server from its start.
CREATE SCHEMA IF NOT EXISTS public AUTHORIZATION :"database";
\ir roles.sql
-- Before PostgreSQL 15 it belongs to the superuser, and roles.sql takes from everyone the right to create there.
GRANT USAGE, CREATE ON SCHEMA public TO :"database";
