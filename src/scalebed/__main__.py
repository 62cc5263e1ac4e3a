"""Run the command line as ``python -m scalebed``."""

import sys

from scalebed.cli import main

sys.exit(main())
