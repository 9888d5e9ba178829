"""Objects of the Kubernetes API → fragments (what each object states), events, pulses. Pure: no I/O, no clock, no log.

    bytes → objects → pod, workload, service, … → Fragment → inventory → entities
                      event → Event        metrics → ResourcePulse        custom: rules → Kind

`fragment` is the interface; one module for each kind or a few similar ones; `entity` is what all of them share.
"""

from typing import Any, Final

from kgents_collector_k8s.mapping import (
    autoscaler,
    endpointslice,
    gateway,
    ingress,
    job,
    namespace,
    networkpolicy,
    node,
    pod,
    service,
    volume,
    workload,
)
from kgents_collector_k8s.mapping.configuration import referenced
from kgents_collector_k8s.mapping.fragment import Kind
from kgents_shared.contract.api_kinds import kind_of

__all__ = ["CATALOGUE", "kind_of", "referenced"]

CATALOGUE: Final[tuple[Kind[Any], ...]] = (
    namespace.KIND,
    node.KIND,
    volume.VOLUME,
    volume.CLAIM,
    workload.DEPLOYMENT,
    workload.REPLICASET,
    workload.STATEFULSET,
    workload.DAEMONSET,
    job.CRONJOB,
    job.JOB,
    pod.KIND,
    service.KIND,
    endpointslice.KIND,
    ingress.KIND,
    gateway.GATEWAY,
    gateway.HTTPROUTE,
    gateway.GRPCROUTE,
    networkpolicy.KIND,
    autoscaler.KIND,
)
"""All kinds that are watched, those that are referred to before those that refer to them: owners before what they own,
nodes before pods, Services before what routes to them."""
