"""`make crash`: real processes of a chain of services, killed again and again, and judged by an outsider."""
