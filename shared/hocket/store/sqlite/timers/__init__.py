"""Time-outs on SQLite: how they are written with endings, and how those that are due are called."""
