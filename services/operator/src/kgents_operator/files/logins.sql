-- The logins of who observes, pools and copies, as roles.sql makes them, with the passwords of the Secrets.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\set monitor_password `cat "$SECRETS/monitor/password"`
\set replicator_password `cat "$SECRETS/replicator/password"`
\set pooler_password `cat "$SECRETS/pooler/password"`
\ir roles.sql
