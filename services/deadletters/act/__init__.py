"""Carries out what a person decides about a letter: replay it or discard it.

Imports all folders but `show`. Used by `show` and `http`.
"""
