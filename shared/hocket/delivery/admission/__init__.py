"""Parts of the admission of a delivery."""
