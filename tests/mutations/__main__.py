"""`python -m tests.mutations [RULE …]`: breaks rules and says whether their tests noticed.

Status 0 only where every test passes with the product as it is, and fails with its rule broken.
"""

import sys
from collections.abc import Sequence

from tests.mutations.running import AS_IT_IS, run
from tests.mutations.table import chosen


def main(rules: Sequence[str]) -> int:
    """Run the breakages of these rules, all where none is named."""
    mutations = chosen(rules)
    results = run(mutations)
    well = not results[AS_IT_IS]
    sys.stdout.write(f"as it is: {', '.join(results[AS_IT_IS]) or 'every test passes'}\n")
    for each in mutations:
        noticed = results[each.name] == {each.test: "call"}
        well = well and noticed
        sys.stdout.write(f"{each.name}: {'noticed' if noticed else 'NOT NOTICED'} by {each.test}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
