"""The accidents of real life, each at its time, each with what must be seen of it from the outside.

Used by the demo's `story`; imports what the demo has to reach the shop, and `doubles` the kit's transport.
"""
