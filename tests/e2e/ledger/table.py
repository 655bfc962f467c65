"""`python -m tests.e2e.ledger.table [FILE]`: docs/disruption.md from the kept results and those of FILE."""

import sys
from pathlib import Path

from tests.e2e.ledger import results
from tests.e2e.ledger.results import Result

PAGE = Path(__file__).resolve().parents[3] / "docs" / "disruption.md"
HEAD = """# Disruption

<!-- Made by `python -m tests.e2e.ledger.table` from tests/e2e/ledger/results.json. -->

What clients notice when a part of the platform is replaced or killed, on a real cluster and through the edge.
`make e2e` runs the short ones of these tests and `make e2e-full` all; each says where it keeps its figures, and
`python -m tests.e2e.ledger.table FILE` makes this page of them again.

Four workers, each over a kept connection, create items under an `Idempotency-Key`, replace, read and list, about sixty
requests a second together; a client of auth signs in for them again and again, every second and a half. Every answer is
written down. At the end the book is compared with itself and with the rows in Postgres: *lost* is an acknowledged write
that the database does not have, *doubled* one that it has twice, *stale* a read older than a write acknowledged before
it was asked. *Failed* is a request that its client gave up.

Where clients repeat, they do as a client library would: the same request with the same key, after 502, 503, 504 or a
connection that ended, at most ten attempts in twenty seconds, after the pause that `Retry-After` says (two seconds at
most). *Retried* says how many had to. Where they do not, every request has one attempt. A sign-in that fails is none of
the requests: these go on with the token before it.

Killed is SIGKILL to all processes of the pod, each service having one pod: what is seen is how long it takes to come
back. With more pods the gateway goes to the others. A pod of the gateway that is gone makes the edge answer 502 by
itself; every other refusal is a problem document, those with 503 have `Retry-After`, and the tests hold them to that.

"""
COLUMNS = ("what happened", "clients repeat", "writes", "reads", "retried", "failed", "lost", "doubled", "stale")


def main(arguments: list[str]) -> int:
    """Take in new results where some are named, and write the page."""
    new = [each for name in arguments for each in results.read(Path(name))]
    if arguments and not new:
        print(f"{arguments[0]} holds no results; a run of tests/e2e/test_disruption.py says where it keeps them")
        return 1
    if new:
        results.write(results.merged(results.read(), new))
    PAGE.write_text(page(results.read()))
    return 0


def page(kept: list[Result]) -> str:
    """The page for these results."""
    return HEAD + table(kept) + "\n" + _answers(kept)


def table(kept: list[Result]) -> str:
    """A line for each run."""
    rows = [[*COLUMNS, "sign-ins failed", "longest wait"], ["---", "---", *["---:"] * 9]]
    for each in kept:
        counts = (each.writes, each.reads, each.retried, each.failed, each.lost, each.doubled, each.stale)
        signed_in, waited = f"{each.sign_ins_failed} of {each.sign_ins}", f"{each.interrupted_seconds} s"
        rows.append([each.event, "yes" if each.with_retries else "no", *map(str, counts), signed_in, waited])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _answers(kept: list[Result]) -> str:
    lines = ["How the attempts ended, and the test that did it:", ""]
    for each in kept:
        ended = ", ".join(f"{name}: {count}" for name, count in sorted(each.answers.items()))
        lines.append(f"- {each.event} ({each.measured} UTC): {ended}. `{each.test}`")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
