"""Two samples of a machine → its entities with their connections, their figures, and what happened. Pure."""

from collections.abc import Mapping

from kgents_collector_host.mapping import event, file_system, host, program, unit
from kgents_collector_host.mapping.history import History
from kgents_collector_host.mapping.network import Network
from kgents_collector_host.mapping.scope import Fact, Scope
from kgents_collector_host.sample import Sample
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary import kinds

__all__ = ["History", "Network", "observe"]


def observe(
    before: Sample | None,
    now: Sample,
    network: Network,
    history: History,
    *,
    cluster: str,
    interval_s: float,
    max_processes: int,
    published: Mapping[Ref, Entity],
) -> Facts:
    """Everything that is known of the machine.

    Args:
        before: the sample before; None: rates are not known yet.
        now: the newest sample.
        network: what was seen of its connections; takes the newest in.
        history: what was seen of it in the last hour; takes the newest in.
        cluster: its name.
        interval_s: of the pulses.
        max_processes: how many programs are shown.
        published: our entities as published.
    """
    scope = Scope(cluster, now.machine.name, interval_s, now.at, published)
    known = history.programs
    processes = now.processes or ()
    programs = history.programs = program.programs(processes, history.processes, known)
    history.processes = processes
    network.take(now, programs, scope)
    if before is None:
        history.resume(published, now, scope)
    history.take(now)
    facts: list[Fact] = [host.fact(before, now, history, scope), *file_system.facts(before, now, history, scope)]
    facts += unit.facts(before, now, programs, history, scope)
    facts += program.facts(before, now, programs, known, network, scope, limit=max_processes)
    unread = []
    if now.processes is None:
        unread = [Unread(kind=kind, reason=now.faults[0]) for kind in (kinds.PROCESS, kinds.UNIT)]
    elif now.units_fault:
        unread = [Unread(kind=kinds.UNIT, reason=now.units_fault)]
    return Facts(
        entities=[each.entity for each in facts],
        pulses=[each.pulse for each in facts if each.pulse is not None],
        events=list(event.events(before, now, scope)),
        unread=unread,
    )
