"""The model of backfill (RULES 7.5), driven by the decisions of `hocket.streams.backfill.state`."""
