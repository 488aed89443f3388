"""Takes webhooks in: checks, custody, what was kept and its retry, samples of what was refused (RULES 12)."""
