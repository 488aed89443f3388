"""The service and its surroundings: it needs nothing outside."""

from hocket import Service
from services.orders.storage import tables

orders = Service("orders", owner="team-shop", tables=tables)
