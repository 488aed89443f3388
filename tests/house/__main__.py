"""`make house`: draws the tree of docs/house.md and writes docs/settings.md anew."""

from tests.house import settings_page
from tests.house.drawing import PAGE, redrawn

PAGE.write_text(redrawn(), encoding="utf-8")
settings_page.PAGE.write_text(settings_page.written(), encoding="utf-8")
