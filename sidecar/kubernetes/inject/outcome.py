"""How a review ends."""

from enum import Enum


class Outcome(Enum):
    """Why a pod was patched or left as it is; values of the label `outcome`."""

    PATCHED = "patched"
    UNCHANGED = "unchanged"
    OPTED_OUT = "opted_out"
    EXCLUDED_NAMESPACE = "excluded_namespace"
    MIRROR_POD = "mirror_pod"
    NOT_A_NEW_POD = "not_a_new_pod"
    BAD_ANNOTATION = "bad_annotation"
    HOST_NETWORK = "host_network"
    WINDOWS = "windows"
    NAME_TAKEN = "name_taken"
    MOUNT_PATH_TAKEN = "mount_path_taken"
    PORT_TAKEN = "port_taken"
    NO_CONTAINER = "no_container"
    POD_RESOURCES = "pod_resources"
    RUNS_TO_COMPLETION = "runs_to_completion"
    UNREADABLE = "unreadable"


SILENT = frozenset(
    {Outcome.PATCHED, Outcome.UNCHANGED, Outcome.OPTED_OUT, Outcome.EXCLUDED_NAMESPACE, Outcome.MIRROR_POD}
)
"""Outcomes that are as their owner wants them, so that they need no warning."""


class LeftAlone(Exception):
    """A pod is not patched; the message is one sentence for its owner."""

    def __init__(self, outcome: Outcome, message: str = "") -> None:
        super().__init__(message)
        self.outcome = outcome
