"""What Kubernetes tells of the release's namespace, by kube-state-metrics and the kubelet; certificates; migrations."""

from grafana.alerts.model import BY, OURS, Alert, Proof, labels, series

_SCALER = "namespace, horizontalpodautoscaler"
_NOW, _MAX = "kube_horizontalpodautoscaler_status_current_replicas", "kube_horizontalpodautoscaler_spec_max_replicas"
_AVAILABLE, _WANTED = "kube_deployment_status_replicas_available", "kube_deployment_spec_replicas"
_FREE, _SIZE = "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"
_VOLUME = "namespace, persistentvolumeclaim"
_MEMORY, _LIMIT = "container_memory_working_set_bytes", "kube_pod_container_resource_limits"
_HELD, _PERIODS = "container_cpu_cfs_throttled_periods_total", "container_cpu_cfs_periods_total"
_CERTIFICATES = (
    "min by (namespace, name) (certmanager_certificate_expiration_timestamp_seconds)"
    " or min by (namespace, host) (nginx_ingress_controller_ssl_expire_time_seconds)"
    " or min by (namespace, cn) (traefik_tls_certs_not_after)"
)
DAYS_14 = 14 * 86400


def _plain(metric: str, **more: str) -> str:
    given = ", ".join(f'{name}="{value}"' for name, value in {"namespace": "slipway", **more}.items())
    return f"{metric}{{{given}}}"


ALERTS = (
    Alert(
        "AutoscalerAtMaximum",
        f"max by ({_SCALER}) ({_NOW}) >= max by ({_SCALER}) ({_MAX}) {OURS}",
        15,
        "warning",
        "{{ $labels.horizontalpodautoscaler }} has as many pods as it may: more load makes it slower",
        Proof(
            {
                _plain(_NOW, horizontalpodautoscaler="slipway-items"): "2x4 6x30",
                _plain(_MAX, horizontalpodautoscaler="slipway-items"): "6x40",
            },
            20,
            {"namespace": "slipway", "horizontalpodautoscaler": "slipway-items"},
        ),
    ),
    Alert(
        "PodsMissing",
        f"max by (namespace, deployment) ({_AVAILABLE}) < max by (namespace, deployment) ({_WANTED}) {OURS}",
        10,
        "warning",
        "{{ $labels.deployment }} has fewer pods at work than it should",
        Proof(
            {
                _plain(_AVAILABLE, deployment="slipway-items"): "2x4 1x30",
                _plain(_WANTED, deployment="slipway-items"): "2x40",
            },
            15,
            {"namespace": "slipway", "deployment": "slipway-items"},
        ),
    ),
    Alert(
        "MigrationFailed",
        f'max by (namespace, job_name) (kube_job_status_failed{{job_name=~".*-(migrate|roles)-.*"}}) > 0 {OURS}',
        1,
        "critical",
        "The Job {{ $labels.job_name }} has failed: new pods wait for its schema",
        Proof(
            {_plain("kube_job_status_failed", job_name="slipway-items-migrate-1a2b3c"): "0x4 1x20"},
            6,
            {"namespace": "slipway", "job_name": "slipway-items-migrate-1a2b3c"},
        ),
    ),
    Alert(
        "MigrationPending",
        f"max by ({BY}) (migration_pending) == 1",
        10,
        "critical",
        "Pods of {{ $labels.service }} wait for a migration that nobody applies",
        Proof({series("migration_pending"): "0x4 1x20"}, 15, labels("items")),
    ),
    Alert(
        "VolumeFills",
        f"(min by ({_VOLUME}) ({_FREE} / {_SIZE}) < 0.15"
        f" or min by ({_VOLUME}) (predict_linear({_FREE}[6h], 345600)) < 0) {OURS}",
        10,
        "critical",
        "The volume {{ $labels.persistentvolumeclaim }} is nearly full, or will be within four days",
        Proof(
            {
                _plain(_FREE, persistentvolumeclaim="data-slipway-postgres-0"): "50x4 10x30",
                _plain(_SIZE, persistentvolumeclaim="data-slipway-postgres-0"): "100x40",
            },
            15,
            {"namespace": "slipway", "persistentvolumeclaim": "data-slipway-postgres-0"},
        ),
    ),
    Alert(
        "MemoryNearLimit",
        f'max by (namespace, pod, container) ({_MEMORY}{{container!=""}})'
        f' / max by (namespace, pod, container) ({_LIMIT}{{resource="memory"}}) > 0.9 {OURS}',
        15,
        "warning",
        "{{ $labels.container }} of {{ $labels.pod }} uses nine tenths of the memory that it may",
        Proof(
            {
                _plain(_MEMORY, pod="slipway-items-1", container="items"): "50x4 95x30",
                _plain(_LIMIT, pod="slipway-items-1", container="items", resource="memory"): "100x40",
            },
            20,
            {"namespace": "slipway", "pod": "slipway-items-1", "container": "items"},
        ),
    ),
    Alert(
        "ProcessorThrottled",
        f'sum by (namespace, pod) (rate({_HELD}{{container!=""}}[5m]))'
        f' / sum by (namespace, pod) (rate({_PERIODS}{{container!=""}}[5m])) > 0.25 {OURS}',
        15,
        "warning",
        "{{ $labels.pod }} is held back in a quarter of its periods by a CPU limit",
        Proof(
            {
                _plain(_HELD, pod="slipway-items-1", container="items"): "0x10 300+300x40",
                _plain(_PERIODS, pod="slipway-items-1", container="items"): "0+600x60",
            },
            28,
            {"namespace": "slipway", "pod": "slipway-items-1"},
        ),
    ),
    Alert(
        "CertificateNearEnd",
        f"({_CERTIFICATES}) - time() < {DAYS_14}",
        60,
        "warning",
        "A certificate ends within two weeks and was not renewed",
        Proof(
            {_plain("certmanager_certificate_expiration_timestamp_seconds", name="slipway-tls"): f"{DAYS_14 + 600}x90"},
            71,
            {"namespace": "slipway", "name": "slipway-tls"},
        ),
    ),
)
