"""What a model may hold so that what is said is what is heard; the only place that calls pydantic for an event's data.

One rule: the wire has aliases, and data is read in pydantic's JSON mode. What can be seen of a model is checked when
its class is created, the rest when an event is said.
"""
