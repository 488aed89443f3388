"""The shop and the kit's own services; each knows hocket and itself, none knows another."""
