"""Reads dead letters and the facts about them: from bytes and headers to values that every store takes.

Pure: imports the kit and nothing else of the desk. Used by all other folders and by `handlers`.
"""
