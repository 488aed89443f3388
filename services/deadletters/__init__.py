"""The dead-letter desk keeps what services gave up, whole, until a person settles it."""

from services.deadletters import handlers, http
from services.deadletters.service import deadletters

__all__ = ["deadletters", "handlers", "http"]
