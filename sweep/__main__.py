"""`python -m sweep` is the command `sweep`."""

from sweep.cli.app import main

if __name__ == "__main__":
    main()
