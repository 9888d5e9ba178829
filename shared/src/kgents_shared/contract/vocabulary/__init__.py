"""The names of the contract: each declared once, used by mappings and checks by reference, documented from here.

- `kinds`, `edges`: what entities are, and how they are connected.
- `reasons`: the events that collectors detect themselves.
- `figures/`: what pulses measure, one module for each field.
- `attributes/`: what entities and connections carry, one module for each field.

A constant is a plain `str` with a static type of its own (`FigureName`, …): it costs nothing at run time, and mypy
refuses a literal where a declared word is expected. The tables beside the constants (`KINDS`, `FIGURES`, …) hold what
is declared of them; only documents, sentences and tests read these.
"""
