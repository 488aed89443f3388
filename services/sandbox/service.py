"""The service; it hears and says nothing, the shop reaches it over HTTP like any other company's system."""

from hocket import Service
from services.sandbox.storage import tables

sandbox = Service("sandbox", owner="team-outside", tables=tables)
