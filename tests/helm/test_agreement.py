"""Webhook, admission policy and library template add the same."""

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmRenderError
from hypothesis import event, example, given

from sidecar.kubernetes.inject import settings as sites
from sidecar.kubernetes.inject.form import FORMS
from sidecar.kubernetes.inject.outcome import LeftAlone
from sidecar.kubernetes.inject.settings import Settings
from tests.helm.admission import MisplacedType, check_types, mutated
from tests.helm.rendering import CHART, Object, of_kind, parsed, rendered, texts
from tests.kubernetes.inject.pods import PREFIX, Json, annotated, patched, pod, pods

ODD: dict[str, Any] = {
    "image": {"repository": "r.test/sidecar", "digest": "sha256:" + "a" * 64, "pullPolicy": "Always"},
    "sidecar": {
        "port": 9200,
        "socketDir": "/run/odd",
        "user": 7,
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
        "state": {"enabled": True, "sizeLimit": "1Gi"},
        "args": ["--log.level=debug", "--web.max-connections=64"],
        "scrapeAnnotations": False,
        "ignoredContainers": ["worker"],
    },
}


def policy(**values: Any) -> Object:
    objects = rendered(kubeVersion="1.36.0", injector={"mode": "policy"}, **values)
    [found] = of_kind(objects, "MutatingAdmissionPolicy").values()
    return found


def settings(**values: Any) -> Settings:
    config = of_kind(rendered(kubeVersion="1.36.0", **values), "ConfigMap")["watch-injector"]
    return sites.parse(config["data"]["inject.yml"], Path("inject.yml"))


DEFAULT_POLICY, ODD_POLICY = policy(), policy(**ODD)
DEFAULT_SETTINGS, ODD_SETTINGS = settings(), settings(**ODD)


def without_empty(pod: Json) -> Json:
    """Return a pod without labels or annotations where there are none."""
    after = copy.deepcopy(pod)
    for name in ("labels", "annotations"):
        if after["metadata"].get(name) == {}:
            del after["metadata"][name]
    return after


def by_webhook(document: Json, settings: Settings) -> Json:
    try:
        return patched(document, settings)
    except LeftAlone as reason:
        event(reason.outcome.value)
        return document


def test_the_defaults_of_the_chart_are_those_of_the_program() -> None:
    assert Settings() == DEFAULT_SETTINGS


@given(pods())
@example(annotated(pod(), reference_configmap="p", reference="key.json", windows="5m,1h"))
@example(annotated(pod(volumes=[{"name": "models"}]), reference_volume="models", reference="a/p.json", model="m"))
@example(annotated(pod(), config_configmap="whole"))
@example(annotated(pod(), reference="/models/p.json", model_version="3", image="r.test/x:1", port="9999"))
@example(annotated(pod(), cpu_limit="1", cpu_request="300m", memory_limit="1Gi", memory_request="32Mi"))
@example(annotated(pod(), cpu_limit="1m"))
@example(annotated(pod(), memory_limit="1Mi"))
@example(annotated(pod(), windows="60s,1m"))
@example(pod({"name": "server"}, {"name": "istio-proxy"}, initContainers=[{"name": "istio-init"}]))
@example(annotated(pod(), socket_dir="/etc/model-sidecar"))
@example(annotated(pod(), socket_dir="/var/lib"))
@example(pod({"name": "a", "volumeMounts": [{"name": "x", "mountPath": "//run/./model-sidecar/"}]}))
@example(pod({"name": "a", "volumeMounts": [{"name": "x", "mountPath": "/run/x/../model-sidecar"}]}))
@example(pod(securityContext={"fsGroup": 1, "supplementalGroups": [5]}))
def test_the_policy_makes_of_a_pod_what_the_webhook_makes_of_it(document: Json) -> None:
    if document["metadata"].get("labels", {}).get(f"{PREFIX}inject") == "false":
        return  # which the bindings leave out
    for made, site in ((DEFAULT_POLICY, DEFAULT_SETTINGS), (ODD_POLICY, ODD_SETTINGS)):
        once = mutated(made, document)
        assert without_empty(once) == without_empty(by_webhook(document, site))
        assert mutated(made, once) == once, "twice is once"


def test_annotations_look_the_same_to_both() -> None:
    text = yaml.safe_dump(DEFAULT_POLICY["spec"]["variables"], width=10**6)
    for name, form in FORMS.items():
        assert f'"{PREFIX}{name}"].matches("^({form.pattern})$")' in text


def test_types_of_objects_are_named_for_their_place() -> None:
    with pytest.raises(MisplacedType):
        check_types("Object.spec{a: Object.spec.b{}}")

    check_types(DEFAULT_POLICY["spec"]["mutations"][0]["jsonPatch"]["expression"])


def test_an_old_kubernetes_has_no_policies() -> None:
    with pytest.raises(HelmRenderError, match=r"policy needs Kubernetes 1\.36, or 1\.34 .* this is 1\.33\.1"):
        rendered(kubeVersion="1.33.1", injector={"mode": "policy"})

    [binding, _] = of_kind(rendered(kubeVersion="1.34.0", injector={"mode": "policy"}), BINDING).values()
    assert binding["apiVersion"] == "admissionregistration.k8s.io/v1beta1"


BINDING = "MutatingAdmissionPolicyBinding"

TEMPLATE = """
{{- $sidecar := dict "chart" (index .Subcharts "model-sidecar") }}
{{- range $key, $value := .Values.sidecar }}{{ $_ := set $sidecar $key $value }}{{ end }}
apiVersion: v1
kind: Pod
metadata:
  name: fraud-0
  labels:
    {{- include "model-sidecar.podLabels" $sidecar | nindent 4 }}
  annotations:
    {{- include "model-sidecar.podAnnotations" $sidecar | nindent 4 }}
spec:
  securityContext:
    supplementalGroups:
      {{- include "model-sidecar.supplementalGroups" $sidecar | nindent 6 }}
  initContainers:
    - {{- include "model-sidecar.container" $sidecar | nindent 6 }}
  containers:
    - name: server
      image: fraud:1
      env:
        {{- include "model-sidecar.env" $sidecar | nindent 8 }}
      volumeMounts:
        {{- include "model-sidecar.volumeMounts" $sidecar | nindent 8 }}
  volumes:
    {{- with .Values.volume }}
    - name: {{ . }}
    {{- end }}
    {{- include "model-sidecar.volumes" $sidecar | nindent 4 }}
"""


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a chart of somebody else that has this one as a dependency."""
    folder = tmp_path_factory.mktemp("chart") / "fraud"
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "pod.yaml").write_text(TEMPLATE)
    needed = {"name": "model-sidecar", "version": "0.1.0", "repository": ""}
    (folder / "Chart.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v2", "name": "fraud", "version": "1.0.0", "dependencies": [needed]})
    )
    shutil.copytree(CHART, folder / "charts" / "model-sidecar")
    return folder


def test_the_templates_of_the_documents_make_a_pod_with_a_sidecar(parent: Path, tmp_path: Path) -> None:
    text = (CHART.parents[1] / "docs" / "kubernetes.md").read_text()
    [dependencies, values, template] = re.findall(r"(?ms)^```yaml\n(# (?:Chart|values|templates).*?)^```", text)
    folder = tmp_path / "fraud"
    shutil.copytree(parent, folder)
    (folder / "templates" / "pod.yaml").unlink()
    (folder / "templates" / "deployment.yaml").write_text(template)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: fraud\nversion: 1.0.0\n" + dependencies)
    (folder / "values.yaml").write_text(values)

    with Chart.load(folder) as chart:
        found = texts(chart, **{"model-sidecar": {"kubeVersion": "1.31.0"}})

    objects = [o for name, text in found.items() if not name.endswith(".txt") for o in parsed(text)]
    [made] = [o["spec"]["template"] for o in objects if "template" in o.get("spec", {})]
    injected = patched(annotated(pod(), model="fraud", reference_configmap="fraud-profile"), DEFAULT_SETTINGS)
    assert made["spec"]["initContainers"] == injected["spec"]["initContainers"]
    assert made["spec"]["volumes"] == injected["spec"]["volumes"]
    [server] = made["spec"]["containers"]
    assert server.items() <= injected["spec"]["containers"][0].items()


@pytest.mark.parametrize(
    ("wanted", "annotations"),
    [
        ({}, {}),
        ({"model": "fraud", "modelVersion": "3", "windows": ["5m", "1h"]}, {"windows": "5m,1h", "model_version": "3"}),
        ({"referenceConfigMap": "p", "model": "m"}, {"reference_configmap": "p"}),
        ({"referenceConfigMap": "p", "reference": "k.json"}, {"reference_configmap": "p", "reference": "k.json"}),
        ({"referenceVolume": "data", "reference": "a/p"}, {"reference_volume": "data", "reference": "a/p"}),
        ({"reference": "/models/p.json"}, {"reference": "/models/p.json"}),
        ({"configConfigMap": "whole"}, {"config_configmap": "whole"}),
        ({"image": "r.test/x:1", "port": 9300, "socketDir": "/run/x"}, None),
    ],
)
@pytest.mark.parametrize("values", [{}, ODD], ids=["defaults", "odd"])
def test_the_library_template_makes_what_the_webhook_makes(
    parent: Path, wanted: dict[str, Any], annotations: dict[str, str] | None, values: dict[str, Any]
) -> None:
    if annotations is None:
        annotations = {"image": "r.test/x:1", "port": "9300", "socket_dir": "/run/x"}
    if "model" in wanted:
        annotations = {**annotations, "model": wanted["model"]}
    volume = wanted.get("referenceVolume")
    with Chart.load(parent) as chart:
        off = {"injector": {"enabled": False}, "prometheusRule": {"enabled": False}, "kubeVersion": "1.31.0"}
        found = texts(chart, sidecar=wanted, volume=volume, **{"model-sidecar": {**off, **values}})
    [made] = parsed(found["fraud/templates/pod.yaml"])
    document = annotated(pod(**({"volumes": [{"name": volume}]} if volume else {})), **annotations)

    injected = by_webhook(document, ODD_SETTINGS if values else DEFAULT_SETTINGS)

    for name in annotations:
        del injected["metadata"]["annotations"][f"{PREFIX}{name.replace('_', '-')}"]
    made["metadata"]["annotations"] = made["metadata"]["annotations"] or {}
    assert made["metadata"]["labels"].pop(f"{PREFIX}inject") == "false", "the webhook leaves it as it is"
    del injected["metadata"]["labels"][f"{PREFIX}inject"]
    assert made == injected
