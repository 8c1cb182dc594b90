"""`python -m lenet.cli`: the command without its script."""

from lenet.cli import main

if __name__ == "__main__":
    main()
