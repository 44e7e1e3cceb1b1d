"""`python -m numfuse`."""

import sys

from numfuse.cli import main

if __name__ == "__main__":
    sys.exit(main())
