"""The rules as small state graphs, visited whole: every order of arrival, crash, pause and double that a scope allows.

A model is a rule book without the product: it imports nothing of the kit. It can be told to leave a rule out, and then
has to find a state that must not be; that shows what the rule is for, and that the model can fail.
`python -m tests.model` (`make models`) visits the whole scopes, the tests beside it small ones.
"""
