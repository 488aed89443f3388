"""Shows the answers: pages with their templates and styles, sentences, the drawing of a flow, JSON for programs.

Imports all other folders of the tracer. Used by `http`, which mounts it.
"""
