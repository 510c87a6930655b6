"""`python -m switchhook` is the `switchhook` command."""

from switchhook.cli import main

main()
