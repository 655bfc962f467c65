"""What Kubernetes does with the pods: replicas, autoscalers, restarts, throttling, memory, volumes."""

from grafana.panels import ORANGE, RED, Board, Row, bars, series, stat, table
from grafana.queries import workloads

BOARD = Board(
    uid="slipway-workloads",
    title="Slipway / Workloads",
    description="Replicas, autoscalers, restarts, throttling, memory, volumes.",
    source="container_memory_working_set_bytes",
    services='label_values(kube_deployment_spec_replicas{namespace=~"$namespace"}, deployment)',
    pods='label_values(container_memory_working_set_bytes{namespace=~"$namespace", pod=~"$service.*"}, pod)',
    rows=(
        Row(
            "Now",
            (
                stat("Pods by phase", "All of the namespace.", "short", (workloads.PHASES, "{{phase}}"), width=8),
                stat(
                    "Jobs failed",
                    "Migrations and roles among them.",
                    "short",
                    (workloads.JOBS_FAILED, "{{job_name}}"),
                    width=8,
                    thresholds=((1, RED),),
                    runbook="MigrationFailed",
                ),
                bars(
                    "Autoscalers",
                    "Pods, of the most allowed.",
                    "percentunit",
                    (workloads.SCALER_USE, "{{horizontalpodautoscaler}}"),
                    height=4,
                    maximum=1,
                    thresholds=((0.99, RED),),
                    runbook="AutoscalerAtMaximum",
                ),
            ),
        ),
        Row(
            "Replicas",
            (
                series(
                    "Deployments",
                    "Wanted and available.",
                    "short",
                    (workloads.WANTED, "{{deployment}} wanted"),
                    (workloads.AVAILABLE, "{{deployment}} available"),
                    runbook="PodsMissing",
                ),
                series(
                    "Autoscalers",
                    "Now and at most.",
                    "short",
                    (workloads.SCALER_NOW, "{{horizontalpodautoscaler}}"),
                    (workloads.SCALER_MAX, "{{horizontalpodautoscaler}} at most"),
                    runbook="AutoscalerAtMaximum",
                ),
                series(
                    "Restarts",
                    "In the last hour, by pod.",
                    "short",
                    (workloads.RESTARTS, "{{pod}}"),
                    runbook="PodRestarts",
                ),
            ),
        ),
        Row(
            "Processor and memory",
            (
                series("Processor", "Cores in use.", "short", (workloads.CPU, "{{pod}}"), width=6),
                series(
                    "Throttled",
                    "Share of periods; Slipway sets no limit of its own.",
                    "percentunit",
                    (workloads.THROTTLED, "{{pod}}"),
                    width=6,
                    thresholds=((0.25, RED),),
                    runbook="ProcessorThrottled",
                    quiet="no container has a limit of CPU",
                ),
                series("Memory", "Working set.", "bytes", (workloads.MEMORY, "{{pod}}"), width=6),
                series(
                    "Memory of its limit",
                    "At 1 the kernel ends it.",
                    "percentunit",
                    (workloads.MEMORY_RATIO, "{{pod}}"),
                    width=6,
                    maximum=1,
                    thresholds=((0.9, RED),),
                    runbook="MemoryNearLimit",
                ),
            ),
        ),
        Row(
            "Volumes, network, ends",
            (
                bars(
                    "Volumes",
                    "Used, of their size.",
                    "percentunit",
                    (workloads.VOLUME_USE, "{{persistentvolumeclaim}}"),
                    width=6,
                    maximum=1,
                    thresholds=((0.8, ORANGE), (0.9, RED)),
                    runbook="VolumeFills",
                    quiet="no volume's driver measures it",
                ),
                series(
                    "Free",
                    "On each volume.",
                    "bytes",
                    (workloads.VOLUME_FREE, "{{persistentvolumeclaim}}"),
                    width=6,
                    runbook="VolumeFills",
                    quiet="no volume's driver measures it",
                ),
                series(
                    "Network",
                    "In and out.",
                    "Bps",
                    (workloads.NETWORK_IN, "{{pod}} in"),
                    (workloads.NETWORK_OUT, "{{pod}} out"),
                    width=6,
                    quiet="this kubelet counts no pod's network",
                ),
                table(
                    "Ended last by",
                    "OOMKilled: memory; Error: its log tells.",
                    (workloads.LAST_END, "containers", "short"),
                    width=6,
                    runbook="PodRestarts",
                    quiet="no container has ended",
                ),
            ),
        ),
    ),
)
