"""Reads facts: from bytes of the log and of the receipts stream to checked values.

Pure: imports the kit and nothing else of the tracer. Used by all other folders and by `handlers`.
"""
