"""Kills a service while it reads history, goes over to its queue, and swaps a rebuilt projection in."""
