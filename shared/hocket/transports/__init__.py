"""Drivers of the transport port; `hocket.assembly` picks one, nobody else imports them."""
