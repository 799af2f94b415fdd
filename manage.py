#!/usr/bin/env python
"""Every command of Tokenledger: `manage.py help` lists them."""

import os
import sys

from config import embedded


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # The demo chooses its own data directory from its arguments and starts the engines there itself.
    if sys.argv[1:2] not in ([], ["demo"], ["help"], ["--help"], ["--version"]):
        embedded.provide()

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
