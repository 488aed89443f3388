"""Plain text tables with aligned columns, without control characters."""

from collections.abc import Iterable, Sequence

#: Longest cell in characters; the last column has no bound.
MAX_CELL = 48


def shown(value: object) -> str:
    """A value on one line; control and bidi characters are written as `U+202E`."""
    return "".join(sign if sign.isprintable() else f"U+{ord(sign):04X}" for sign in str(value).replace("\n", " "))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows below a head, columns two spaces apart; columns of whole numbers are aligned right."""
    kept = [list(row) for row in rows]
    cells = [[_cut(shown(value), at == len(head) - 1) for at, value in enumerate(row)] for row in kept]
    widths = [max(len(line[at]) for line in [list(head), *cells]) for at in range(len(head))]
    right = [bool(kept) and all(isinstance(row[at], int) for row in kept) for at in range(len(head))]
    lines = [head, *cells]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if on_right else cell.ljust(width)
            for cell, width, on_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _cut(text: str, last: bool) -> str:
    return text if last or len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"
