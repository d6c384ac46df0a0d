"""``python -m hotpixeld``, as the systemd unit starts it."""

import sys

from hotpixeld.cli import main

if __name__ == "__main__":
    sys.exit(main())
