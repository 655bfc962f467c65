"""All questions, and picking some of them."""

from collections.abc import Sequence

from tests.bench import auth, claims, cost, curves, gateway, guards, items, scaling, size, telemetry
from tests.bench.questions import BenchError, Question

ALL: tuple[Question, ...] = (
    *gateway.QUESTIONS,
    *guards.QUESTIONS,
    *items.QUESTIONS,
    *auth.QUESTIONS,
    *claims.QUESTIONS,
    *scaling.QUESTIONS,
    *cost.QUESTIONS,
    *telemetry.QUESTIONS,
    *curves.QUESTIONS,
    *size.QUESTIONS,
)

FIRST = (
    "cost", "cost-profiles",
    "gateway-connections", "gateway-sizes", "gateway-uploads",
    "items-rows-read", "items-rows-first-page", "items-rows-deep-page", "items-rows-search",
    "gateway-routes", "gateway-principals", "gateway-pods",
    "middleware", "middleware-slow", "async-0ms", "async-20ms", "workers", "servers", "keep-alive",
    "gateway-peers", "gateway-guards", "caches", "cache-load", "start-up", "images",
)  # fmt: skip
"""What the whole set measures first, so that what is left where its time ends is what matters least."""


def chosen(only: Sequence[str], *, full: bool) -> list[Question]:
    """The questions of these names or groups, else the short set, or all. Raises BenchError for a name of neither."""
    names = {question.name for question in ALL} | {question.group for question in ALL}
    if unknown := [name for name in only if name not in names]:
        raise BenchError(f"no question and no group is called {unknown[0]!r}; there are {', '.join(sorted(names))}")
    if only:
        return [question for question in ALL if {question.name, question.group} & set(only)]
    if not full:
        return [question for question in ALL if question.short]
    places = {name: place for place, name in enumerate(FIRST)}
    return sorted(ALL, key=lambda question: -1 if question.short else places.get(question.name, len(FIRST)))
