"""The kit's tables beside those of delivery itself, one file for each concern."""
