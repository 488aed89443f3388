"""Drivers of the store port; `hocket.assembly` picks one by the database URL."""
