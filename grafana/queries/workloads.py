"""What Kubernetes says: kube-state-metrics, and the kubelet's own metrics of containers and volumes."""

from grafana.queries.selectors import RANGE

PODS = 'namespace=~"$namespace", pod=~"$pod"'
CONTAINERS = f'{PODS}, container!="", container!="POD"'
DEPLOYMENTS = 'namespace=~"$namespace", deployment=~"$service"'

WANTED = f"max by (deployment) (kube_deployment_spec_replicas{{{DEPLOYMENTS}}})"
AVAILABLE = f"max by (deployment) (kube_deployment_status_replicas_available{{{DEPLOYMENTS}}})"
SCALER_NOW = (
    "max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_status_current_replicas"
    '{namespace=~"$namespace", horizontalpodautoscaler=~"(keda-hpa-)?($service)"})'
)
SCALER_MAX = (
    "max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_spec_max_replicas"
    '{namespace=~"$namespace", horizontalpodautoscaler=~"(keda-hpa-)?($service)"})'
)
SCALER_USE = f"{SCALER_NOW} / {SCALER_MAX}"
RESTARTS = (
    f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{PODS}}}[1h]))"
    f" or sum by (pod) (changes(container_start_time_seconds{{{CONTAINERS}}}[1h]))"
)
LAST_END = f"sum by (pod, reason) (kube_pod_container_status_last_terminated_reason{{{PODS}}}) > 0"
PHASES = f"sum by (phase) (kube_pod_status_phase{{{PODS}}})"
JOBS_FAILED = 'max by (job_name) (kube_job_status_failed{namespace=~"$namespace"})'

CPU = f"sum by (pod) (rate(container_cpu_usage_seconds_total{{{CONTAINERS}}}{RANGE}))"
THROTTLED = (
    f"sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{{{CONTAINERS}}}{RANGE}))"
    f" / sum by (pod) (rate(container_cpu_cfs_periods_total{{{CONTAINERS}}}{RANGE}))"
)
MEMORY = f"sum by (pod) (container_memory_working_set_bytes{{{CONTAINERS}}})"
# of a pod as a whole or of its containers: the largest is what it may use
MEMORY_RATIO = f"{MEMORY} / max by (pod) (container_spec_memory_limit_bytes{{{PODS}}} > 0)"
NETWORK_IN = f"sum by (pod) (rate(container_network_receive_bytes_total{{{PODS}}}{RANGE}))"
NETWORK_OUT = f"sum by (pod) (rate(container_network_transmit_bytes_total{{{PODS}}}{RANGE}))"
VOLUME_USE = (
    'max by (persistentvolumeclaim) (kubelet_volume_stats_used_bytes{namespace=~"$namespace"}'
    ' / kubelet_volume_stats_capacity_bytes{namespace=~"$namespace"})'
)
VOLUME_FREE = 'min by (persistentvolumeclaim) (kubelet_volume_stats_available_bytes{namespace=~"$namespace"})'
