"""`python -m tests.graph [--bugs] [SCOPE …]`: visits whole sagas, or plants bugs and says how each is found.

Status 0 only where no state is bad, and every bug is found.
"""

import argparse
import sys
from collections.abc import Sequence

from tests.graph.bugs import BUGS, found
from tests.graph.scopes import WHOLE
from tests.graph.visit import visit


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def judge(name: str) -> tuple[int, int, bool]:
    """Visit one scope and print what was found; its states, its histories, and whether all is well."""
    visited = visit(WHOLE[name]())
    if visited.wrong:
        say(f"{name}: {visited.states:,} states, {visited.wrong}\n  {'; '.join(visited.path)}")
    else:
        say(f"{name}: {visited.states:,} states, {visited.ends:,} ends, {visited.histories:,} histories, none bad")
    return visited.states, visited.histories, not visited.wrong


def tell(name: str) -> bool:
    """Plant one bug and print how it is found."""
    seen = found(name)
    say(f"{name}, in {BUGS[name].where}: {seen.wrong or 'NOT FOUND'} ({seen.states:,} states)")
    say(f"  {len(seen.path)} moves: {'; '.join(seen.path)}")
    return bool(seen.wrong)


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, those of the command line by default."""
    parser = argparse.ArgumentParser(prog="python -m tests.graph", description="Visit every history of whole sagas.")
    parser.add_argument("names", nargs="*", metavar="SCOPE", help="which scopes, or which bugs (all)")
    parser.add_argument("--bugs", action="store_true", help="plant bugs in the product and tell how each is found")
    asked = parser.parse_args(words)
    known = BUGS if asked.bugs else WHOLE
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"nothing of this name: {', '.join(unknown)}; there are {'; '.join(known)}")
    names = asked.names or list(known)
    if asked.bugs:
        well = [tell(name) for name in names]
        say(f"{sum(well)} of {len(well)} bugs found")
        return 0 if all(well) else 1
    visited = [judge(name) for name in names]
    states, histories = sum(each[0] for each in visited), sum(each[1] for each in visited)
    say(f"in all {states:,} states and {histories:,} histories")
    return 0 if all(each[2] for each in visited) else 1


if __name__ == "__main__":
    sys.exit(main())
