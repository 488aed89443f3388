"""One file for each command; `hocket.cli` joins them into the program.

Imports every floor below `cli/`; a command loads drivers only when it runs. Used by `hocket.cli` alone.
"""
