"""Migrates the tables of earlier schemas to this code's, at the start of a service."""
