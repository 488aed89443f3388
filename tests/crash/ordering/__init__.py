"""The crash run of ordered subscriptions: the books of an outsider say in which order each subject was handled."""
