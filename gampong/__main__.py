"""`python -m gampong`, the same as the installed command."""

import sys

from gampong.cli import main

sys.exit(main())
