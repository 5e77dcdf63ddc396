"""Making images with trained networks."""
