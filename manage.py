#!/usr/bin/env python
"""Every command of Tokenledger: `manage.py help` lists them."""

import os
import sys

from config import embedded
from config.demo import environment


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["demo"]:
        environment.prepare(sys.argv)  # it starts the engines itself, where its arguments say
    elif sys.argv[1:2] not in ([], ["help"], ["--help"], ["--version"]):
        environment.join()
        embedded.provide()

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
