"""``python -m cyclr_async.cli`` is the ``cyclr`` command."""

import sys

from cyclr_async.cli import main

sys.exit(main())
