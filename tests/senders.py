"""The senders of webhooks in tests of the shop: their secrets, which ingress finds in its environment."""

from deploy.demo.webhooks.signing import Secrets

#: Of this run of the tests; `tests/conftest.py` puts them where ingress reads them.
SECRETS = Secrets()
