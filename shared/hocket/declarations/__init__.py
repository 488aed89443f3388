"""What a service declares, read from its functions' signatures and checked at import.

Invalid declarations raise `DeclarationError` at import; the message says how to fix them. Imports the ground floor
alone. Used by `service`, whose decorators call `declare`, and by every room that asks what is declared.
"""
