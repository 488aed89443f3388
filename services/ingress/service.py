"""The service; it needs nothing outside and keeps nothing but its inbox."""

from hocket import Service

ingress = Service("ingress", owner="team-edge")
