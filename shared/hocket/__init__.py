"""hocket: services that coordinate by events, without a conductor."""
