"""The `kgents` command: arguments → configuration → what the services publish, as people and pipes read it.

app.py finds the command; options.py turns its flags into configuration; each command module parses and calls:

    up         embedded.py (nats-server) + children.py (the services) + discovery.py + screen.py
    watch      selection.py (which streams) → feed.py (their messages, live) → sentence.py (one line each)
    topology   snapshot.py (the state now, or then) → picture.py (tree, table)
    health     snapshot.py
    doctor     snapshot.py + discovery.py
    run        the service itself, through its entry point (installed.py)

reference/ writes the documents under docs/reference; no command needs it.
Data goes to stdout, everything else to stderr.
"""
