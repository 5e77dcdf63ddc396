"""The subcommands, by who calls them. A step's code is imported only when called, so `--help` is instant."""
