"""The service; it needs nothing outside."""

from hocket import Service
from services.scoring.storage import tables

scoring = Service("scoring", owner="team-crm", tables=tables)
