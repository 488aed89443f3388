"""What `hocket check` finds in declarations that are valid each by itself: one form, one table of codes."""
