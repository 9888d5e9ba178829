"""The `kgents` command: arguments → configuration → what the services publish, for people and for pipes.

app.py finds the command; options.py turns its flags into configuration and query.py those that select entities into a
Query. Each command is a module in commands/ and keeps only presentation; what is read comes from `kgents_shared.view`:

    get        view.live, view.past, pulses.py → columns.py (which columns a kind has) → table.py
    describe   the same, view.paths → detail.py
    topology   view.live, view.past → tree.py
    health alerts history diff path impact top events    one view module each
    watch      selection.py (which signals) → view.feed → sentence.py (a line each)
    up         embedded.py (nats-server) + children.py (the services) + discovery.py + screen.py
    doctor     snapshot.py + discovery.py
    run        the service itself, through its entry point (installed.py)

Data goes to stdout, everything else to stderr. installed.py keeps the start of a command cheap.
"""
