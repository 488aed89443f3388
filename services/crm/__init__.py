"""Crm: enters each lead at the customer system outside."""

from services.crm import handlers
from services.crm.service import crm

__all__ = ["crm", "handlers"]
