"""Photos: where they come from, how LR is made of them, and how training reads them."""
