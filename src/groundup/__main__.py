"""`python -m groundup`: the same as the `groundup` command."""

import sys

from groundup.cli.main import main

sys.exit(main())
