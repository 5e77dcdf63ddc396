"""Tables, figures, verdicts and the page.

Made from score tables and records alone, so that a reader without a GPU can remake them.
"""
