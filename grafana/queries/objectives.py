"""Service level objectives: what the recording rules of `grafana.objectives` left of the error budget."""

NAMESPACE = 'namespace=~"$namespace", service=~"$service"'

OBJECTIVE = "max by (service) (slipway:slo_objective:ratio)"
BUDGET_LEFT = (
    f"1 - max by (service) (slipway:http_errors:ratio_rate3d{{{NAMESPACE}}})"
    " / on (service) (1 - max by (service) (slipway:slo_objective:ratio))"
)
BURN_RATE = (
    f"max by (service) (slipway:http_errors:ratio_rate1h{{{NAMESPACE}}})"
    " / on (service) (1 - max by (service) (slipway:slo_objective:ratio))"
)
FIRING = 'sum by (alertname, severity, service) (ALERTS{alertstate="firing"})'
