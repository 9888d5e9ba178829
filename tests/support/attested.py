"""What a reader makes of published topology messages: which entities are stale."""

from collections.abc import Iterable

from kgents_shared.contract.attestation import Attestation
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.kinds import SOURCE


def stale_of(messages: Iterable[TopologyEntity]) -> dict[Ref, list[str]]:
    """Entity → sources that do not attest it; the sources themselves are left out."""
    found = list(messages)
    attestation = Attestation()
    for each in found:
        if each.ref.kind == SOURCE:
            attestation = attestation.with_source(each, each.ref.cluster, each.ref.name)
    return {each.ref: attestation.stale(each) for each in found if each.ref.kind != SOURCE}
