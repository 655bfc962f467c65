"""Postgres by postgres_exporter."""

from grafana.queries.selectors import gauge, rate

DATABASES = 'datname!~"template.*|"'

UP = f"max by (service) ({gauge('pg_up')})"
CONNECTIONS = f"sum by (state) ({gauge('pg_stat_activity_count', DATABASES)})"
CONNECTIONS_BY_DATABASE = f"sum by (datname) ({gauge('pg_stat_activity_count', DATABASES)})"
CONNECTIONS_MAX = f"max by (service) ({gauge('pg_settings_max_connections')})"
CONNECTION_RATIO = f"sum by (service) ({gauge('pg_stat_activity_count')}) / {CONNECTIONS_MAX}"
LONGEST_TRANSACTION = f"max by (datname) ({gauge('pg_stat_activity_max_tx_duration', DATABASES)})"
COMMITS = f"sum by (datname) ({rate('pg_stat_database_xact_commit', DATABASES)})"
ROLLBACKS = f"sum by (datname) ({rate('pg_stat_database_xact_rollback', DATABASES)})"
_HITS = f"sum by (datname) ({rate('pg_stat_database_blks_hit', DATABASES)})"
_READS = f"sum by (datname) ({rate('pg_stat_database_blks_read', DATABASES)})"
BUFFER_HIT_RATIO = f"{_HITS} / ({_HITS} + {_READS})"
ROWS_WRITTEN = f"sum by (datname) ({rate('pg_stat_database_tup_inserted', DATABASES)})"
ROWS_READ = f"sum by (datname) ({rate('pg_stat_database_tup_fetched', DATABASES)})"
DEADLOCKS = f"sum by (datname) ({rate('pg_stat_database_deadlocks', DATABASES)})"
TEMPORARY = f"sum by (datname) ({rate('pg_stat_database_temp_bytes', DATABASES)})"
SIZE = f"max by (datname) ({gauge('pg_database_size_bytes', DATABASES)})"
LOCKS = f"sum by (mode) ({gauge('pg_locks_count', DATABASES)}) > 0"
