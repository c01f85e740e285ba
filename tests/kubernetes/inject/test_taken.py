"""What a pod has already that the sidecar's own would meet: mount paths, and annotations for scraping."""

import pytest

from sidecar.kubernetes.inject.outcome import LeftAlone, Outcome
from tests.kubernetes.inject.pods import SAME_PATH, annotated, applied, patch_of, pod


@pytest.mark.parametrize("path", SAME_PATH)
def test_the_path_of_the_sockets_is_taken_however_it_is_written(path: str) -> None:
    with pytest.raises(LeftAlone) as left_alone:
        patch_of(pod({"name": "a", "volumeMounts": [{"name": "x", "mountPath": path}]}))

    assert left_alone.value.outcome is Outcome.MOUNT_PATH_TAKEN


@pytest.mark.parametrize(
    "path",
    ["/etc/model-sidecar", "/etc/model-sidecar/x", "/etc", "/var/lib/model-sidecar/state", "/var/lib/model-sidecar"],
)
def test_the_sockets_are_not_where_the_sidecar_has_its_own_volumes(path: str) -> None:
    with pytest.raises(LeftAlone, match="where the sidecar keeps its own files") as left_alone:
        patch_of(annotated(pod(), socket_dir=path))

    assert left_alone.value.outcome is Outcome.BAD_ANNOTATION


@pytest.mark.parametrize("name", ["scrape", "port", "path"])
def test_annotations_for_scraping_are_added_together_or_not_at_all(name: str) -> None:
    document = pod()
    document["metadata"]["annotations"] = {f"prometheus.io/{name}": "8080"}

    made = patch_of(document)
    after = applied(document, made.operations)["metadata"]["annotations"]

    assert {k: v for k, v in after.items() if k.startswith("prometheus.io/")} == {f"prometheus.io/{name}": "8080"}
    assert made.warnings == [f"the pod has the annotation prometheus.io/{name} already: scrape port 9108 as well"]
