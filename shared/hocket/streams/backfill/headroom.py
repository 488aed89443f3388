"""How far the reading is ahead of the log's retention (RULES 7.5 g). Pure."""


class Headroom:
    """Messages between the first that the log keeps and the next that is read, and the most there have been."""

    def __init__(self) -> None:
        self.most = 0
        self.now = 0
        self.moved = False  # retention has removed something since the first look
        self._first: int | None = None

    def look(self, first: int, next: int) -> bool:
        """A look at the log; whether half of the way is lost, so that the reading must hurry."""
        if self._first is not None and first > self._first:
            self.moved = True
        self._first = first
        self.now = max(next - first, 0)
        self.most = max(self.most, self.now)
        return self.moved and self.now * 2 <= self.most
