"""The HTTP side of a service, on one port: what is answered, to whom, and within which bounds."""
