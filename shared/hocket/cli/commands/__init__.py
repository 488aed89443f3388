"""One file a command; `hocket.cli` joins them into the program."""
