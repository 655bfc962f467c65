"""What wakes somebody: an alert for each promise of the platform, and the recording rules below them."""

from grafana.alerts import auth, cluster, gateway, objectives, services, stores, telemetry

GROUPS = {
    "slipway-objectives": objectives.ALERTS,
    "slipway-services": services.ALERTS,
    "slipway-stores": stores.ALERTS,
    "slipway-gateway": gateway.ALERTS,
    "slipway-auth": auth.ALERTS,
    "slipway-cluster": cluster.ALERTS,
    "slipway-telemetry": telemetry.ALERTS,
}
ALL = tuple(alert for alerts in GROUPS.values() for alert in alerts)
