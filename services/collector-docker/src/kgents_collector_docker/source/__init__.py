"""Engines → Inventory, EngineEvent, Stats. All input of this service comes from here, and every request is a GET.

`Client` is the connection to one engine, `Watch` keeps its inventory up to date, `Meter` measures its containers.
"""

from kgents_collector_docker.source.client import Client, EngineError
from kgents_collector_docker.source.meter import Meter, Round
from kgents_collector_docker.source.watch import Watch

__all__ = ["Client", "EngineError", "Meter", "Round", "Watch"]
