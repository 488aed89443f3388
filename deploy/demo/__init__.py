"""The demo: the whole shop with the accidents of real life, judged at the end from the outside."""
