"""`python -m tvqsr`: the command line, for machines where the entry point is not installed."""

from tvqsr.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
