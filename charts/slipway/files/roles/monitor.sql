-- Who watches the server: a login that sees all statistics and no row of anybody's. For psql; may be run again.
SET client_min_messages = warning;
\set password `cat "$SECRETS_DIR/monitor-password"`

SELECT 'CREATE ROLE monitor NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'monitor') \gexec
GRANT pg_monitor TO monitor;
GRANT CONNECT ON DATABASE postgres TO monitor;
-- counted by the chart against max_connections
ALTER ROLE monitor CONNECTION LIMIT 3;

-- the statement carries a password, so it is not logged
SET log_statement = none;
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
ALTER ROLE monitor LOGIN PASSWORD :'password';
