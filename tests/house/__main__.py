"""`make house`: draws the tree of docs/house.md anew."""

from tests.house.drawing import PAGE, redrawn

PAGE.write_text(redrawn(), encoding="utf-8")
