"""A QdrantCluster as a person writes it, and a cluster with such resources."""

from typing import Any

from support.operated import NAMESPACE, Json, Site


def qdrant(name: str = "vectors", **spec: Any) -> Json:
    """A resource as a person writes it."""
    return {
        "apiVersion": "kgents.io/v1alpha1",
        "kind": "QdrantCluster",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


class QdrantSite(Site):
    """A cluster whose resource is the QdrantCluster `vectors`."""

    plural = "qdrantclusters"
    default = "vectors"
    written = staticmethod(qdrant)
