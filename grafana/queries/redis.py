"""Both Redis by redis_exporter; `service` is cache or state."""

from grafana.queries.selectors import gauge, rate

UP = f"max by (service) ({gauge('redis_up')})"
CLIENTS = f"sum by (service) ({gauge('redis_connected_clients')})"
BLOCKED = f"sum by (service) ({gauge('redis_blocked_clients')})"
COMMANDS = f"sum by (service) ({rate('redis_commands_processed_total')})"
COMMANDS_BY_NAME = f"topk(10, sum by (service, cmd) ({rate('redis_commands_total')}))"
MEAN_DURATION = (
    f"sum by (service) ({rate('redis_commands_duration_seconds_total')})"
    f" / sum by (service) ({rate('redis_commands_total')})"
)
MEMORY = f"max by (service) ({gauge('redis_memory_used_bytes')})"
MEMORY_RATIO = f"max by (service) ({gauge('redis_memory_used_bytes')} / ({gauge('redis_memory_max_bytes')} > 0))"
_HITS = f"sum by (service) ({rate('redis_keyspace_hits_total')})"
_MISSES = f"sum by (service) ({rate('redis_keyspace_misses_total')})"
HIT_RATIO = f"{_HITS} / ({_HITS} + {_MISSES})"
EVICTED = f"sum by (service) ({rate('redis_evicted_keys_total')})"
EXPIRED = f"sum by (service) ({rate('redis_expired_keys_total')})"
KEYS = f"sum by (service, db) ({gauge('redis_db_keys')}) > 0"
REJECTED = f"sum by (service) ({rate('redis_rejected_connections_total')})"
APPEND_ONLY_OK = f"min by (service) ({gauge('redis_aof_last_write_status')})"
FRAGMENTATION = f"max by (service) ({gauge('redis_mem_fragmentation_ratio')})"
