"""The rules as small state graphs, visited whole: every order of arrival, crash, pause and double that a scope allows.

Models `delivery` and `saga` are the rules without the product: they import nothing of the kit. Models `overdue`,
`breaker` and `decisions` drive the product's own functions; `tests.graph` visits whole sagas. Each can be told to leave
a rule out, and then has to find a state that must not be; that shows what the rule is for, and that it can fail.
`python -m tests.model` (`make models`) visits the whole scopes, the tests beside it small ones.
"""
