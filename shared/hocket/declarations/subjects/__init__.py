"""What a handler declares about the events of one subject."""
