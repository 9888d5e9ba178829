"""`python -m kgents_cli`: the same as `kgents`, where the script is not on the path."""

from kgents_cli.app import main

main()
