"""Training: one loop that all methods share."""
