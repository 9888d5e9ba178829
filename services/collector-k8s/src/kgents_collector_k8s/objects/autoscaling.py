"""HorizontalPodAutoscaler. Its metrics are not read: they change by themselves."""

from kgents_collector_k8s.objects.metadata import Condition, Lean, Metadata, ObjectReference


class AutoscalerSpec(Lean, frozen=True):
    """What is scaled between which bounds."""

    scale_target_ref: ObjectReference = ObjectReference()
    min_replicas: int | None = None
    max_replicas: int = 0


class AutoscalerStatus(Lean, frozen=True):
    """The current state."""

    current_replicas: int = 0
    desired_replicas: int = 0
    conditions: list[Condition] | None = None


class HorizontalPodAutoscaler(Lean, frozen=True):
    """`autoscaling/v2` HorizontalPodAutoscaler."""

    metadata: Metadata
    spec: AutoscalerSpec = AutoscalerSpec()
    status: AutoscalerStatus = AutoscalerStatus()
