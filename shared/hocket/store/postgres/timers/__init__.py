"""Time-outs on PostgreSQL: how they are written with endings, and how those that are due are called."""
