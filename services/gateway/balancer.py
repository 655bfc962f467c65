"""Which pod gets the next request: the less busy of two that chance picks."""

import random
from collections.abc import Collection, Iterable

from services.gateway.pods import Pod


def choose(pods: Iterable[Pod], now: float, *, slow_start_seconds: float, without: Collection[Pod] = ()) -> Pod | None:
    """Power of two choices by requests in flight; None without pods.

    When every pod is ejected, all are asked: a suspicion must not make an outage.
    """
    candidates = [pod for pod in pods if pod not in without]
    usable = [pod for pod in candidates if pod.is_usable(now)] or candidates
    if len(usable) < 2:  # noqa: PLR2004 - nothing to choose between
        return usable[0] if usable else None
    weights = [pod.weight(now, slow_start_seconds) for pod in usable]
    # a new pod is picked less often: in flight alone would not hold it back while there is little to do
    first, second = random.sample(usable, 2) if min(weights) == 1 else random.choices(usable, weights, k=2)
    return second if second.in_flight < first.in_flight else first
