"""A Kubernetes API server for tests: the real protocol over a socket, driven from Python, broken on demand.

Flow: handler (faults, authentication, authorization) → reads: options → lists | watches → views → wire;
writes: writing → rules (definitions, cel), fields (who owns them) → writes → store → open watches. It has no
controllers: nothing happens unless a client or a test
does it, except that a deleted namespace takes its objects with it. The same tests run against a real cluster in
`tests/integration/kubernetes_api`.

What clients rarely expect, and where it is known from:

- a watch from a future version is accepted, and silent: `cacheWatcher.process` in k8s.io/apiserver; observed on 1.36
- after a restart all requests get 403 until the roles are loaded: observed on 1.36
- 429 `storage is (re)initializing`: observed on 1.36 for custom resources
- 404 is a Status below a built-in group and text below an unknown one: observed on 1.36; also text for a custom
  resource whose definition does not serve the version: `crdHandler` in k8s.io/apiextensions-apiserver, not observed
- a client certificate stands whatever the token: observed on 1.36
- large lists are compressed for those who ask: `responsewriters` in k8s.io/apiserver
- streamed lists too, one gzip member for each flush: Kubernetes 1.37, by the reports of its clients; not observed
"""

from support.kube_api.cluster import Call
from support.kube_api.faults import Fault, Faults
from support.kube_api.resources import GATEWAY_API, Resource
from support.kube_api.server import KubeApi
from support.kube_api.status import ApiError

__all__ = ["GATEWAY_API", "ApiError", "Call", "Fault", "Faults", "KubeApi", "Resource"]
