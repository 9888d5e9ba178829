"""Figures: what pulses measure, each declared in the module of its field → mappings and checks by reference.

- `figure`: how one is declared.
- `resource`: what any entity may use, and what a program of your own may send.
- one module for each field: what its collector measures.
"""

from typing import Final

from kgents_shared.contract.vocabulary.figures import docker, kubernetes, nats, resource
from kgents_shared.contract.vocabulary.figures.figure import Figure

FIGURES: Final[tuple[Figure, ...]] = (
    *resource.FIGURES,
    *nats.FIGURES,
    *kubernetes.FIGURES,
    *docker.FIGURES,
)
"""Every figure that is declared."""
