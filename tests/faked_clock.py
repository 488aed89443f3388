"""The wall clock of one process, moved while it runs: libfaketime of Debian; the monotonic clock stays right."""

from pathlib import Path

#: Where Debian's package `faketime` has its library, on any machine.
LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"


def library() -> Path | None:
    """The library, None where it is not installed."""
    return next(Path("/").glob(LIBRARIES.removeprefix("/")), None)


class FakedClock:
    """A clock that stands in a file; the processes that were started with `environment` read it at each look."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump("+0")

    def jump(self, offset: str) -> None:
        """From now on this far off the real time: `+10m`, `-10m`, `+20d`, `-0.05` (seconds), `+0`."""
        whole = self._file.with_suffix(".new")
        whole.write_text(offset, encoding="ascii")
        whole.replace(self._file)

    def environment(self) -> dict[str, str]:
        """What a process needs to have this clock. Raises `FileNotFoundError` where the library is not installed."""
        found = library()
        if found is None:
            raise FileNotFoundError("libfaketime is not installed: apt-get install faketime")
        return {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # with it each hop between threads waits 5 ms and more for its lock
            "NO_FAKE_STAT": "1",
        }
