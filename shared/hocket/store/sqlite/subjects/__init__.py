"""Latest values and marks of subjects on SQLite."""
