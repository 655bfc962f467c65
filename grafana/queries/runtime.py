"""The processes: event loop, processor, memory, files, readiness, spans and log lines left out."""

from grafana.queries.selectors import RANGE, SCOPE, gauge, rate

LOOP_LAG = f"max by (service) ({gauge('event_loop_lag_seconds')})"
LOOP_LAG_BY_POD = f"max by (pod) ({gauge('event_loop_lag_seconds')})"
CPU = f"sum by (service) ({rate('process_cpu_seconds_total')})"
CPU_BY_POD = f"sum by (pod) ({rate('process_cpu_seconds_total')})"
MEMORY = f"sum by (service) ({gauge('process_resident_memory_bytes')})"
MEMORY_BY_POD = f"sum by (pod) ({gauge('process_resident_memory_bytes')})"
OPEN_FILES = f"max by (pod) ({gauge('process_open_fds')} / {gauge('process_max_fds')})"
COLLECTIONS = f"sum by (generation) ({rate('python_gc_collections_total')})"
UPTIME = f"time() - max by (pod) ({gauge('process_start_time_seconds')})"
CHECKS_FAILING = f"sum by (service) (1 - {gauge('readiness_check_passing')})"
CHECKS = f"min by (service, check) ({gauge('readiness_check_passing')})"
PODS = f"count by (service) ({gauge('slipway_build_info')})"
VERSIONS = f"count by (service, version, python) ({gauge('slipway_build_info')})"

SPANS_SENT = f"sum by (service) ({rate('traces_spans_sent_total')})"
SPANS_DROPPED = f"sum by (service) ({rate('traces_spans_dropped_total')})"
LINES_LEFT_OUT = f"sum by (service) ({rate('log_lines_sampled_out_total')})"

KEY_FETCHES = f"sum by (service, result) ({rate('token_key_fetches_total')})"
REVOCATIONS_KNOWN = f"max by (service) ({gauge('revocations_known')})"
REVOCATION_SILENCE = f"max by (service) ({gauge('revocations_silence_seconds')})"
REVOCATION_LAG = (
    f"histogram_quantile(0.99, sum by (service, le) (rate(revocation_lag_seconds_bucket{{{SCOPE}}}{RANGE})))"
)
REVOCATIONS_APPLIED = f"sum by (service) ({rate('revocations_applied_total')})"
REVOKED_REFUSED = f"sum by (service) ({rate('revocations_refused_total')})"
