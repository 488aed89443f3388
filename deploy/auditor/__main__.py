"""`python -m deploy.auditor`: read what outsiders see, say the verdict, write the report; ends 0 only when it is good.

It ends 1 where the books do not balance and 2 where something cannot be read.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.auditor.evidence import Places, Unreadable, read
from deploy.auditor.judging import judge
from deploy.auditor.verdict import LEAST, checks, green, told

#: Exit statuses.
GOOD, BAD, UNREADABLE = 0, 1, 2


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """What the caller said."""
    parser = argparse.ArgumentParser(prog="python -m deploy.auditor", description="Judge the shop from the outside.")
    parser.add_argument("--sandbox", required=True, metavar="URL", help="the outside world, for its books")
    parser.add_argument("--orders", required=True, metavar="URL", help="for GET /orders")
    parser.add_argument("--desk", required=True, metavar="URL", help="the dead-letter desk, for its API")
    parser.add_argument("--scoring", required=True, metavar="URL", help="for GET /scores")
    parser.add_argument("--view", required=True, metavar="URL", help="the read side, for GET /orders and /history")
    parser.add_argument("--posts", required=True, type=Path, metavar="FILE", help="the load generator's record")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the report is written, as JSON")
    parser.add_argument("--broker", default="rabbitmq", choices=("rabbitmq", "memory"), help="told in the report")
    parser.add_argument(
        "--least", action="append", default=[], type=_least, metavar="NAME=NUMBER", help="how many there must be"
    )
    return parser.parse_args(words)


def _least(word: str) -> tuple[str, int]:
    name, _, number = word.partition("=")
    if name not in LEAST or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{word}: say one of {', '.join(LEAST)}, as in orders=300")
    return name, int(number)


def main(words: Sequence[str]) -> int:
    """Judge, print, write."""
    asked = arguments(words)
    try:
        places = Places(asked.sandbox, asked.orders, asked.desk, asked.scoring, asked.view, asked.posts)
        evidence = asyncio.run(read(places))
    except Unreadable as failed:
        print(f"The auditor cannot judge: {failed}", file=sys.stderr)
        return UNREADABLE
    counts, findings = judge(evidence)
    made = checks(counts, {**LEAST, **dict(asked.least)})
    good = green(made, findings)
    print("\n".join(told(made, findings)), flush=True)
    if asked.report is not None:
        named = [{"kind": each.kind, "name": each.name, "text": each.text} for each in findings]
        report = {"broker": asked.broker, **counts, "balanced": good, "findings": named}
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return GOOD if good else BAD


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
