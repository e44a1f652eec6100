"""`python -m algoprof`: the command line."""

from algoprof.cli.main import main

if __name__ == "__main__":
    main()
