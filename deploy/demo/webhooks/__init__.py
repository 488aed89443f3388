"""The senders of webhooks, the CRM's form and a shop: they send twice, out of order and in changed form; some forge."""
