"""What becomes of a pod: what is added, what is left alone and why, and that twice is once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given

from sidecar.config import parse as parse_configuration
from sidecar.kubernetes.inject.outcome import SILENT, LeftAlone, Outcome
from sidecar.kubernetes.inject.settings import Settings, State
from tests.kubernetes.inject.pods import Json, annotated, applied, patch_of, patched, pod, pods, sidecar_of
from tests.schemas import NEWEST, OLDEST, mistakes

SOCKET = "unix:///run/model-sidecar/stream"


def test_the_sidecar_is_a_native_one_that_starts_before_the_application() -> None:
    after = patched(pod())

    [sidecar] = after["spec"]["initContainers"]
    assert (sidecar["name"], sidecar["restartPolicy"]) == ("model-sidecar", "Always")
    assert sidecar["startupProbe"]["exec"]["command"] == ["test", "-S", "/run/model-sidecar/stream"]
    assert not {"livenessProbe", "readinessProbe"} & set(sidecar), "a service mesh would keep them out"


def test_before_native_sidecars_it_is_an_ordinary_container() -> None:
    after = patched(pod(), Settings(native_sidecars=False))

    assert [c["name"] for c in after["spec"]["containers"]] == ["server", "model-sidecar"]
    assert "restartPolicy" not in sidecar_of(after)
    assert "initContainers" not in after["spec"]


def test_it_comes_after_the_init_containers_that_fetch_what_it_reads() -> None:
    after = patched(pod(initContainers=[{"name": "download", "image": "d"}]))

    assert [c["name"] for c in after["spec"]["initContainers"]] == ["download", "model-sidecar"]


def test_every_container_of_the_application_has_socket_and_variable_and_other_sidecars_have_not() -> None:
    names = ["server", "worker", "istio-proxy"]
    after = patched(pod(*({"name": name} for name in names), initContainers=[{"name": "istio-init"}]))

    server, worker, proxy = after["spec"]["containers"]
    for container in (server, worker):
        assert container["volumeMounts"] == [{"name": "model-sidecar-socket", "mountPath": "/run/model-sidecar"}]
        assert container["env"] == [{"name": "MODEL_SIDECAR_SOCKET", "value": SOCKET}]
    assert proxy == {"name": "istio-proxy"}
    assert after["spec"]["initContainers"][0] == {"name": "istio-init"}


def test_containers_can_be_chosen() -> None:
    after = patched(annotated(pod({"name": "server"}, {"name": "log"}), containers="server"))

    assert "env" in after["spec"]["containers"][0]
    assert after["spec"]["containers"][1] == {"name": "log"}


def test_a_variable_of_the_application_is_kept_and_its_owner_told() -> None:
    document = pod({"name": "server", "env": [{"name": "MODEL_SIDECAR_SOCKET", "value": "unix:///mine"}]})

    made = patch_of(document)

    after = applied(document, made.operations)
    assert after["spec"]["containers"][0]["env"] == [{"name": "MODEL_SIDECAR_SOCKET", "value": "unix:///mine"}]
    assert made.warnings == [f"server keeps its own MODEL_SIDECAR_SOCKET; the sidecar's is {SOCKET}"]


def test_every_user_of_the_pod_has_the_group_of_the_sockets() -> None:
    for context, groups in (({}, [65532]), ({"runAsUser": 7, "supplementalGroups": [3]}, [3, 65532])):
        after = patched(pod(securityContext=context))

        assert after["spec"]["securityContext"] == {**context, "supplementalGroups": groups}
        assert "--ingest.unix-group=65532" in sidecar_of(after)["args"]
        assert sidecar_of(after)["securityContext"]["runAsGroup"] == 65532


def test_scrape_annotations_are_added_unless_the_pod_has_its_own() -> None:
    added = patched(pod())["metadata"]["annotations"]
    assert (added["prometheus.io/scrape"], added["prometheus.io/port"]) == ("true", "9108")

    document = pod()
    document["metadata"]["annotations"] = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    made = patch_of(document)
    assert applied(document, made.operations)["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    assert made.warnings == ["the pod has the annotation prometheus.io/scrape already: scrape port 9108 as well"]


def configuration(after: Json) -> Any:
    """Return the configuration that the sidecar would load, which must be one that it takes."""
    text = after["metadata"]["annotations"]["model-sidecar.io/config"]
    [model] = parse_configuration(text, Path("/etc/model-sidecar/sidecar.yml")).models
    return model


def test_the_configuration_is_that_of_the_annotations() -> None:
    document = annotated(pod(), model="fraud", model_version="2026-11", reference_configmap="fraud", windows="5m,2h")

    after = patched(document)

    model = configuration(after)
    assert (model.name, model.version, model.reference) == ("fraud", "2026-11", "/etc/model-sidecar/reference.json")
    assert [window.text for window in model.windows] == ["5m", "2h"]
    [config] = [v for v in after["spec"]["volumes"] if v["name"] == "model-sidecar-config"]
    assert config["projected"]["sources"][1] == {
        "configMap": {"name": "fraud", "items": [{"key": "profile.json", "path": "reference.json"}]}
    }


def test_model_and_version_are_those_of_the_labels_that_rollbacks_use() -> None:
    document = pod()
    document["metadata"]["labels"] |= {"model-sidecar.io/model": "churn", "model-sidecar.io/model-version": "7"}

    model = configuration(patched(document))

    assert (model.name, model.version, model.reference) == ("churn", "7", None)


def test_a_reference_may_be_in_a_volume_of_the_pod() -> None:
    document = annotated(pod(volumes=[{"name": "models"}]), reference_volume="models", reference="fraud/profile.json")

    after = patched(document)

    assert configuration(after).reference == "/var/lib/model-sidecar/reference/fraud/profile.json"
    mount = {"name": "models", "mountPath": "/var/lib/model-sidecar/reference", "readOnly": True}
    assert mount in sidecar_of(after)["volumeMounts"]


def test_a_whole_configuration_may_come_from_a_configmap() -> None:
    after = patched(annotated(pod(), config_configmap="fraud-sidecar"))

    [config] = [v for v in after["spec"]["volumes"] if v["name"] == "model-sidecar-config"]
    assert config["projected"]["sources"] == [{"configMap": {"name": "fraud-sidecar"}}]
    assert "model-sidecar.io/config" not in after["metadata"]["annotations"]


def test_image_port_directory_and_resources_are_those_of_the_annotations() -> None:
    document = annotated(
        pod(),
        image="r.test/s:9",
        port="9200",
        socket_dir="/run/other",
        cpu_request="100m",
        cpu_limit="1",
        memory_request="64Mi",
        memory_limit="1Gi",
    )

    after = patched(document)

    sidecar = sidecar_of(after)
    assert (sidecar["image"], sidecar["ports"][0]["containerPort"]) == ("r.test/s:9", 9200)
    assert sidecar["resources"] == {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    [server] = after["spec"]["containers"]
    assert server["volumeMounts"][0]["mountPath"] == sidecar["volumeMounts"][0]["mountPath"] == "/run/other"
    assert server["env"][0]["value"] == "unix:///run/other/stream"


def test_state_is_kept_in_a_volume_where_the_site_wants_it() -> None:
    after = patched(pod(), Settings(state=State(enabled=True, size_limit="8Mi")))

    assert "--storage.path=/var/lib/model-sidecar/state" in sidecar_of(after)["args"]
    assert {"name": "model-sidecar-state", "emptyDir": {"sizeLimit": "8Mi"}} in after["spec"]["volumes"]
    assert len(after["spec"]["containers"][0]["volumeMounts"]) == 1


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ({"widnows": "5m"}, "model-sidecar.io/widnows: there is no such annotation"),
        ({"config": "{}"}, "model-sidecar.io/config: it is what the injector writes"),
        ({"windows": "5m, 1h"}, "'5m, 1h' is not allowed: 1 to 8 durations such as 5m,1h,24h"),
        ({"windows": "1h,60m"}, "'1h,60m' is not allowed: each window once"),
        ({"model": 'a"b'}, "model-sidecar.io/model: 'a\"b' is not allowed"),
        ({"model": "a\n"}, "is not allowed"),
        ({"reference": "fraud.json"}, "model-sidecar.io/reference: it is in reference-configmap, in reference-volume"),
        ({"reference": "/models/../etc/passwd"}, "is not allowed: a path"),
        ({"reference_volume": "models", "reference": "p"}, "reference-volume: the pod has no such volume"),
        ({"reference_volume": "data"}, "model-sidecar.io/reference: the path in reference-volume is needed"),
        ({"reference_volume": "data", "reference": "/p"}, "reference: it is relative to reference-volume"),
        ({"reference_volume": "data", "reference_configmap": "p"}, "the reference is in reference-configmap"),
        ({"reference_configmap": "p", "reference": "a/b"}, "reference: it is the key in the ConfigMap"),
        ({"config_configmap": "c", "model": "m"}, "model: the configuration of config-configmap says it"),
        ({"port": "80"}, "'80' is not allowed: 1024 to 65535"),
        ({"port": "65536"}, "'65536' is not allowed: 1024 to 65535"),
        ({"socket_dir": "run"}, "'run' is not allowed: an absolute path such as /run/model-sidecar"),
        ({"socket_dir": "/" + "a" * 80}, "is not allowed: at most 80 characters"),
        ({"memory_limit": "64Mi"}, "model-sidecar.io/memory-request: 96Mi is above the limit, 64Mi"),
        ({"cpu_limit": "10m"}, "model-sidecar.io/cpu-request: 50m is above the limit, 10m"),
        ({"memory_limit": "128"}, "'128' is not allowed: a size such as 96Mi"),
        ({"containers": "server,wroker"}, "model-sidecar.io/containers: the pod has no container wroker"),
        ({"image": "a b"}, "'a b' is not allowed: an image"),
    ],
)
def test_a_bad_annotation_leaves_the_pod_as_it_is(annotations: dict[str, str], told: str) -> None:
    document = annotated(pod(volumes=[{"name": "data"}]), **annotations)

    with pytest.raises(LeftAlone) as caught:
        patch_of(document)

    assert caught.value.outcome is Outcome.BAD_ANNOTATION
    assert told in str(caught.value)


def labelled(value: str) -> Json:
    document = pod()
    document["metadata"]["labels"] = {"model-sidecar.io/inject": value}
    return document


MIRROR = pod()
MIRROR["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "abc"}

ALONE: list[tuple[Json, Outcome]] = [
    (pod(hostNetwork=True), Outcome.HOST_NETWORK),
    (pod(os={"name": "windows"}), Outcome.WINDOWS),
    (pod(nodeSelector={"kubernetes.io/os": "windows"}), Outcome.WINDOWS),
    (pod({"name": "model-sidecar"}), Outcome.NAME_TAKEN),
    (pod(initContainers=[{"name": "model-sidecar"}]), Outcome.NAME_TAKEN),
    (pod(volumes=[{"name": "model-sidecar-socket"}]), Outcome.NAME_TAKEN),
    (pod({"name": "a", "volumeMounts": [{"name": "x", "mountPath": "/run/model-sidecar/"}]}), Outcome.MOUNT_PATH_TAKEN),
    (pod({"name": "a", "ports": [{"containerPort": 9108}]}), Outcome.PORT_TAKEN),
    (pod({"name": "istio-proxy"}), Outcome.NO_CONTAINER),
    (pod(resources={"limits": {"cpu": "1"}}), Outcome.POD_RESOURCES),
    (labelled("false"), Outcome.OPTED_OUT),
    (labelled("yes"), Outcome.BAD_ANNOTATION),
    (MIRROR, Outcome.MIRROR_POD),
]


@pytest.mark.parametrize(("document", "outcome"), ALONE, ids=lambda value: getattr(value, "value", "pod"))
def test_what_cannot_have_a_sidecar_is_left_alone_with_its_reason(document: Json, outcome: Outcome) -> None:
    with pytest.raises(LeftAlone) as caught:
        patch_of(document)

    assert caught.value.outcome is outcome
    assert bool(str(caught.value)) is (outcome not in SILENT)


def test_namespaces_of_the_system_are_left_alone() -> None:
    with pytest.raises(LeftAlone) as caught:
        patch_of(pod(), namespace="kube-system")

    assert caught.value.outcome is Outcome.EXCLUDED_NAMESPACE


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
def test_a_job_gets_a_native_sidecar_and_otherwise_none_since_it_would_never_complete(policy: str) -> None:
    assert sidecar_of(patched(pod(restartPolicy=policy)))

    with pytest.raises(LeftAlone) as caught:
        patch_of(pod(restartPolicy=policy), Settings(native_sidecars=False))

    assert caught.value.outcome is Outcome.RUNS_TO_COMPLETION


def test_what_was_added_after_the_first_time_is_completed_the_second() -> None:
    once = patched(pod())
    once["spec"]["containers"].append({"name": "late"})

    twice = patched(once)

    assert [c["name"] for c in twice["spec"]["initContainers"]] == ["model-sidecar"]
    assert twice["spec"]["containers"][1]["env"][0]["value"] == SOCKET


SETTINGS = (
    Settings(),
    Settings(native_sidecars=False, scrape_annotations=False, state=State(enabled=True), args=("--log.level=debug",)),
)


@given(pods())
def test_a_patch_applies_adds_only_and_twice_is_once(document: Json) -> None:
    for settings in SETTINGS:
        try:
            made = patch_of(document, settings)
        except LeftAlone as reason:
            event(reason.outcome.value)
            continue
        event("patched" if made.operations else "unchanged")
        after = applied(document, made.operations)
        assert {operation["op"] for operation in made.operations} <= {"add"}
        assert_contains(after, document)
        again = patch_of(after, settings)
        assert again.operations == []
        assert again.warnings == made.warnings


@given(pods())
def test_what_kubernetes_takes_it_takes_with_the_sidecar(document: Json) -> None:
    try:
        after = patched(document)
    except LeftAlone:
        return
    after["spec"].pop("resources", None)  # empty, and not there in 1.29
    for version in (OLDEST, NEWEST):
        assert mistakes(after, version) == []
    spec = after["spec"]
    for names in (
        [c["name"] for c in [*spec["containers"], *spec.get("initContainers", [])]],
        [v["name"] for v in spec["volumes"]],
        *([m["mountPath"] for m in c.get("volumeMounts", [])] for c in spec["containers"]),
        *([e["name"] for e in c.get("env", [])] for c in spec["containers"]),
    ):
        assert len(names) == len(set(names))


def assert_contains(after: Any, before: Any) -> None:
    """Check that nothing that was there is gone or different."""
    if isinstance(before, dict):
        for key, value in before.items():
            assert_contains(after[key], value)
    elif isinstance(before, list):
        for old, new in zip(before, after[: len(before)], strict=True):
            assert_contains(new, old)
    else:
        assert after == before
