"""Ordered subscriptions: one run of a subject at a time, in order, through failures and hand-overs (RULES 9)."""
