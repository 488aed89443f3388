"""What both acts share: the error of a refusal, and the longest reason."""

#: Longest reason that is kept, in characters.
MAX_REASON = 1_000


class Refused(Exception):
    """The act is refused; the text is the sentence that says why."""
