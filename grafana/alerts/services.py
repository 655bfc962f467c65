"""Services that are gone, not ready, late or slow."""

from grafana.alerts.model import BY, Alert, Proof, labels, series, share

_OBJECTIVE = "slipway:slo_objective:ratio"
_QUICK, _ALL = "http_request_duration_seconds_bucket", "http_request_duration_seconds_count"

ALERTS = (
    Alert(
        "TargetDown",
        f"min by ({BY}, pod) (up) == 0 and on ({BY}) {_OBJECTIVE}",
        5,
        "warning",
        "Pod {{ $labels.pod }} of {{ $labels.service }} does not answer the scrape",
        Proof({series("up", pod="items-1"): "1x4 0x20"}, 10, labels("items", pod="items-1")),
    ),
    Alert(
        "ServiceGone",
        f"{_OBJECTIVE} unless on ({BY}) up == 1",
        5,
        "critical",
        "No pod of {{ $labels.service }} answers the scrape",
        Proof(
            {series("up"): "1x4 _x20", series("up", "auth"): "1x30", series("up", "gateway"): "1x30"},
            14,  # the last sample, of minute 4, counts for five minutes
            labels("items"),
        ),
    ),
    Alert(
        "ReadinessCheckFails",
        f"min by ({BY}, check) (readiness_check_passing) == 0",
        5,
        "warning",
        "The readiness check {{ $labels.check }} of {{ $labels.service }} fails",
        Proof({series("readiness_check_passing", check="postgres"): "1x4 0x20"}, 10, labels("items", check="postgres")),
    ),
    Alert(
        "EventLoopLags",
        f"max by ({BY}, pod) (event_loop_lag_seconds) > 0.25",
        5,
        "warning",
        "The event loop of {{ $labels.pod }} wakes more than a quarter of a second late",
        Proof({series("event_loop_lag_seconds", pod="items-1"): "0.01x4 0.4x20"}, 10, labels("items", pod="items-1")),
    ),
    Alert(
        "AnswersSlow",
        f'1 - {share(f"""rate({_QUICK}{{le="1.0"}}[10m])""", f"rate({_ALL}[10m])")} > 0.05',
        10,
        "warning",
        "More than 5 % of the answers of {{ $labels.service }} take over a second",
        # a fifth is slow from minute 11 on: after three minutes 6 % of the last ten
        Proof({series(_QUICK, le="1.0"): "0+60x10 648+48x30", series(_ALL): "0+60x40"}, 23, labels("items")),
    ),
    Alert(
        "PodRestarts",
        f"max by ({BY}, pod) (changes(process_start_time_seconds[1h])) > 2 and on ({BY}) {_OBJECTIVE}",
        0,
        "warning",
        "Pod {{ $labels.pod }} has started again more than twice in an hour",
        Proof(
            {series("process_start_time_seconds", pod="items-1"): "100x4 200x4 300x4 400x40"},
            15,
            labels("items", pod="items-1"),
        ),
    ),
)
