"""The conformance suite: what every method must do for its results to be worth comparing, as checks over a plugin.

`tvqsr check-method` runs it on the command line; a method's own test calls `tvqsr.testing.suite.check_method`. Nothing
here needs pytest.
"""
