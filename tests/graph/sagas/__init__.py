"""The sagas of the graph: that of the shop, and two that show what it does not."""
