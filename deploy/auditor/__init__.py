"""The auditor: judges the shop from what outsiders can see, and shares no code with what it judges."""
