"""What a service declares of the requests that it answers."""
