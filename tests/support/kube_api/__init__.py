"""A Kubernetes API server for tests: the real protocol over a socket, driven from Python, broken on demand.

Flow: handler (faults, authentication, authorization) → reads: options → lists | watches → views → wire;
writes: writing → writes → store → open watches. It has no controllers: nothing happens unless a client or a test
does it, except that a deleted namespace takes its objects with it. The same tests run against a real cluster in
`tests/integration/kubernetes_api`.
"""

from support.kube_api.cluster import Call
from support.kube_api.faults import Fault, Faults
from support.kube_api.resources import GATEWAY_API, Resource
from support.kube_api.server import KubeApi
from support.kube_api.status import ApiError

__all__ = ["GATEWAY_API", "ApiError", "Call", "Fault", "Faults", "KubeApi", "Resource"]
