-- The database of the PostgresCluster and the role that owns it, at each start: a new password counts from then on.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET log_statement = 'none';
SET log_min_duration_statement = -1;
\set database `printf %s "$DATABASE"`
\set password `cat "$SECRETS/credentials/password"`
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'database') AS is_new \gset
\if :is_new
CREATE ROLE :"database" LOGIN;
\endif
ALTER ROLE :"database" PASSWORD :'password';
SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS is_new \gset
\if :is_new
CREATE DATABASE :"database" OWNER :"database";
\endif
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO PUBLIC;
