"""Shows letters and groups: pages with their templates and styles, sentences, values for programs.

Imports all other folders of the desk. Used by `http`, which mounts it.
"""
