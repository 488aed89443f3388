"""`make crash-webhooks`: senders push while ingress, broker and database are killed; the books decide."""
