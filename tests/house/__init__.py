"""The rules of the house, and the drawing of it in docs/house.md."""
