"""Every object of the chart, over a table of values: what Kubernetes and the operator take, and what keeps it safe."""

import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import lint

from sidecar.http.webconfig import parse as parse_web
from sidecar.kubernetes.rollback.policy import parse as parse_policy
from tests.helm.rendering import CHART, Object, of_kind, rendered, texts
from tests.plugins.golden import Golden
from tests.schemas import NEWEST, OLDEST, NoSchema, mistakes

POLICIES: list[Object] = [
    {"name": "fraud", "action": "rollback", "namespaces": ["ml"], "match": {"severity": "critical"}},
    {"name": "down", "action": "scale_down", "namespaces": ["ml", "serving"], "scale": {"to": "50%", "floor": 2}},
]
OFF: Object = {"enabled": False}

TABLE: dict[str, Object] = {
    "defaults": {},
    "everything-on": {
        "rollback": {
            "enabled": True,
            "dryRun": False,
            "policies": POLICIES,
            "settings": {"kinds": ["Deployment", "Rollout", "InferenceService"], "timezone": "Europe/Berlin"},
            "tlsSecret": "rollback-tls",
            "webhookSecret": "webhooks",
            "tolerations": [{"key": "a", "operator": "Exists"}],
        },
        "alertmanagerConfig": {"enabled": True},
        "dashboards": {"enabled": True},
        "podMonitor": {"labels": {"release": "stack"}, "interval": "30s", "namespaces": ["ml"]},
        "networkPolicy": {"rollbackFrom": [{"podSelector": {"matchLabels": {"app": "alertmanager"}}}]},
        "sidecar": {"state": {"enabled": True}, "args": ["--log.format=json"]},
        "injector": {"priorityClassName": "system-cluster-critical", "nodeSelector": {"a": "b"}},
        "image": {"pullSecrets": ["registry"]},
    },
    "everything-off": {
        **dict.fromkeys(("injector", "rollback", "podMonitor", "prometheusRule", "alertmanagerConfig"), OFF),
        "networkPolicy": OFF,
    },
    "old-kubernetes": {"kubeVersion": "1.28.9"},
    "no-operator": {"podMonitor": OFF, "prometheusRule": OFF, "rollback": {"enabled": True, "policies": POLICIES}},
    "cert-manager": {"injector": {"certificate": {"from": "cert-manager"}}},
    "cert-manager-issuer": {
        "injector": {"certificate": {"from": "cert-manager", "issuerRef": {"kind": "ClusterIssuer", "name": "inside"}}}
    },
    "own-certificate": {
        "injector": {"certificate": {"from": "existing", "secretName": "mine", "caBundle": "-----BEGIN"}}
    },
    "policy": {"kubeVersion": "1.36.0", "injector": {"mode": "policy"}},
    "policy-beta": {"kubeVersion": "1.34.0", "injector": {"mode": "policy"}},
}


def pods_of(objects: list[Object]) -> dict[str, Object]:
    """Return what the chart itself runs, as specifications of pods."""
    deployments = of_kind(objects, "Deployment").items()
    return {
        **{name: deployment["spec"]["template"]["spec"] for name, deployment in deployments},
        **{name: p["spec"] for name, p in of_kind(objects, "Pod").items()},
    }


@pytest.mark.parametrize("case", TABLE)
def test_kubernetes_and_the_operators_take_every_object(case: str) -> None:
    for document in rendered(**TABLE[case]):
        versions = (OLDEST, NEWEST)
        if document["kind"].startswith("MutatingAdmissionPolicy"):
            versions = ("1.34", NEWEST) if case == "policy-beta" else ("1.36", NEWEST)
        for version in versions:
            assert mistakes(document, version) == []


def test_what_is_there_is_what_the_values_say() -> None:
    kinds = {case: sorted({o["kind"] for o in rendered(**values)}) for case, values in TABLE.items()}
    runs = ["Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget", "Service", "ServiceAccount", "ConfigMap"]
    operator = ["PodMonitor", "PrometheusRule"]

    assert kinds["everything-off"] == []
    assert kinds["defaults"] == sorted([*runs, *operator, "MutatingWebhookConfiguration", "Secret"])
    assert kinds["no-operator"] == sorted([*runs, "MutatingWebhookConfiguration", "Secret", "Role", "RoleBinding"])
    assert set(kinds["cert-manager"]) - set(kinds["defaults"]) == {"Certificate", "Issuer"}
    assert set(kinds["defaults"]) - set(kinds["cert-manager"]) == {"Secret"}
    assert "Issuer" not in kinds["cert-manager-issuer"]
    assert set(kinds["defaults"]) - set(kinds["own-certificate"]) == {"Secret"}
    assert kinds["policy"] == sorted([*operator, "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"])


def without_certificate(text: str) -> str:
    """Replace what is made anew each time."""
    lines = text.splitlines()
    secret = ("caBundle: ", "ca.crt: ", "tls.crt: ", "tls.key: ")
    return "\n".join(
        line.split(": ")[0] + ": …" if line.strip().startswith(secret) and len(line) > 200 else line for line in lines
    )


@pytest.mark.parametrize("case", ["defaults", "everything-on", "policy"])
def test_golden_manifests(case: str, golden: Golden) -> None:
    """Rules, routes and dashboards are compared with their files elsewhere."""
    found = texts(**TABLE[case])
    parts = [
        f"# {name.partition('/')[2]}\n{without_certificate(text).strip()}\n"
        for name, text in sorted(found.items())
        if text.strip() and not name.endswith(("prometheusrule.yaml", "alertmanagerconfig.yaml", "dashboards.yaml"))
    ]
    golden(f"helm/{case}.yaml", "---\n".join(parts))


@pytest.mark.parametrize("case", TABLE)
def test_every_pod_is_allowed_by_the_restricted_standard_and_has_resources(case: str) -> None:
    for spec in pods_of(rendered(**TABLE[case])).values():
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {"configMap", "secret", "name"} >= {key for volume in spec.get("volumes", []) for key in volume}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert container["resources"]["requests"]["memory"]
            assert container["resources"]["limits"]["memory"]


def test_only_who_asks_the_api_server_has_a_token() -> None:
    objects = rendered(**TABLE["everything-on"])

    tokens = {name for name, spec in pods_of(objects).items() if spec.get("automountServiceAccountToken", True)}
    assert tokens == {"watch-rollback"}


def test_the_webhook_never_holds_up_a_pod_and_leaves_the_system_and_itself_alone() -> None:
    objects = rendered()
    webhooks = of_kind(objects, "MutatingWebhookConfiguration")["watch-models"]["webhooks"]

    for webhook in webhooks:
        assert webhook["failurePolicy"] == "Ignore"
        assert webhook["reinvocationPolicy"] == "IfNeeded"
        assert webhook["timeoutSeconds"] <= 5
        assert webhook["sideEffects"] == "None"
        [system, *_] = webhook["namespaceSelector"]["matchExpressions"]
        assert (system["key"], system["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
        assert "kube-system" in system["values"]
    for deployment in of_kind(objects, "Deployment").values():
        assert deployment["spec"]["template"]["metadata"]["labels"]["model-sidecar.io/inject"] == "false"


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Tell whether a label selector fits, as the API server would."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        inside = labels.get(expression["key"]) in expression["values"]
        if inside != (expression["operator"] == "In"):
            return False
    return True


@pytest.mark.parametrize(
    ("namespace", "pod", "times"),
    [
        ({}, {}, 0),
        ({}, {"model-sidecar.io/inject": "true"}, 1),
        ({}, {"model-sidecar.io/inject": "false"}, 0),
        ({"model-sidecar.io/inject": "true"}, {}, 1),
        ({"model-sidecar.io/inject": "true"}, {"model-sidecar.io/inject": "true"}, 1),
        ({"model-sidecar.io/inject": "true"}, {"model-sidecar.io/inject": "false"}, 0),
        ({"kubernetes.io/metadata.name": "kube-system"}, {"model-sidecar.io/inject": "true"}, 0),
    ],
)
def test_a_pod_is_asked_about_once_if_it_or_its_namespace_wants_it(
    namespace: dict[str, str], pod: dict[str, str], times: int
) -> None:
    webhooks = of_kind(rendered(), "MutatingWebhookConfiguration")["watch-models"]["webhooks"]
    policies = rendered(**TABLE["policy"])
    [policy] = of_kind(policies, "MutatingAdmissionPolicy").values()
    bindings = [o["spec"]["matchResources"] for o in of_kind(policies, "MutatingAdmissionPolicyBinding").values()]

    asked = [selects(w["objectSelector"], pod) and selects(w["namespaceSelector"], namespace) for w in webhooks]
    bound = [selects(b["objectSelector"], pod) and selects(b["namespaceSelector"], namespace) for b in bindings]

    assert sum(asked) == times
    assert sum(bound) * selects(policy["spec"]["matchConstraints"]["namespaceSelector"], namespace) == times


def rules_of(role: Object) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def documented() -> set[tuple[str, str, str]]:
    text = (CHART.parents[1] / "docs" / "rollback.md").read_text()
    [role, *_] = yaml.safe_load_all(text.split("## Permissions")[1].split("```yaml\n")[1].split("```")[0])
    return rules_of(role)


def test_the_receiver_may_do_what_its_document_lists_and_no_more() -> None:
    roles = [o for o in rendered(**TABLE["everything-on"]) if o["kind"] == "Role"]

    [in_ml] = [role for role in roles if role["metadata"]["namespace"] == "ml"]
    assert rules_of(in_ml) == documented()


def test_a_dry_run_only_reads() -> None:
    for values in (
        {"policies": POLICIES},
        {"dryRun": False, "policies": [{**policy, "dry_run": True} for policy in POLICIES]},
    ):
        roles = [o for o in rendered(rollback={"enabled": True, **values}) if o["kind"] == "Role"]
        assert {role["metadata"]["namespace"] for role in roles} == {"ml", "serving"}
        for role in roles:
            assert {verb for _, _, verb in rules_of(role)} == {"get", "list"}


def test_permission_is_only_given_where_a_policy_acts() -> None:
    policies = [{**POLICIES[0], "dry_run": False}, {**POLICIES[1], "namespaces": ["serving"]}]
    roles = [o for o in rendered(rollback={"enabled": True, "policies": policies}) if o["kind"] == "Role"]

    verbs = {role["metadata"]["namespace"]: {verb for _, _, verb in rules_of(role)} for role in roles}
    assert verbs == {"ml": {"get", "list", "patch", "create"}, "serving": {"get", "list"}}


def test_the_receiver_takes_its_files_and_is_dry_at_first() -> None:
    files = of_kind(rendered(rollback={"enabled": True, "policies": POLICIES}), "ConfigMap")["watch-rollback"]["data"]

    config = parse_policy(files["policy.yml"], Path("policy.yml"))
    assert all(config.is_dry_run(policy) for policy in config.policies)
    assert parse_web(files["web.yml"], Path("web.yml")).bearer_token_file == "/etc/model-sidecar-token/token"

    open_to_all = of_kind(rendered(rollback={"enabled": True, "policies": POLICIES, "tokenSecret": ""}), "ConfigMap")
    assert parse_web(open_to_all["watch-rollback"]["data"]["web.yml"], Path("web.yml")).bearer_token_file is None


def test_alertmanager_sends_to_the_service_of_a_release_named_model_sidecar() -> None:
    objects = rendered(alertmanagerConfig={"enabled": True}, rollback={"enabled": True, "policies": POLICIES})
    [config] = of_kind(objects, "AlertmanagerConfig").values()
    [url] = {h["url"] for r in config["spec"]["receivers"] if r["name"] != "alert" for h in r["webhookConfigs"]}
    service = of_kind(objects, "Service")["watch-rollback"]

    parts = urllib.parse.urlsplit(url)
    assert (parts.hostname, parts.port) == ("model-sidecar-rollback", service["spec"]["ports"][0]["port"])


def test_jobs_of_sidecars_are_those_that_alerts_look_for() -> None:
    monitor = of_kind(rendered(), "PodMonitor")["watch-sidecars"]["spec"]

    assert monitor["selector"]["matchLabels"] == {"model-sidecar.io/injected": "true"}
    [endpoint] = monitor["podMetricsEndpoints"]
    assert endpoint["port"] == "sidecar-metrics"
    assert [r["replacement"] for r in endpoint["relabelings"]] == ["model-sidecar", "model-sidecar/$1"]


def test_old_kubernetes_gets_ordinary_containers() -> None:
    def native(**values: Any) -> bool:
        config = of_kind(rendered(**values), "ConfigMap")["watch-injector"]["data"]["inject.yml"]
        return bool(yaml.safe_load(config)["native_sidecars"])

    assert not native(kubeVersion="1.28.9")
    assert native(kubeVersion="v1.29.0-eks-1")
    assert native(kubeVersion="1.28.9", injector={"nativeSidecars": True})


def test_notes_say_what_to_do_next() -> None:
    def notes(**values: Any) -> str:
        return texts(**values)["model-sidecar/templates/NOTES.txt"]

    assert "model-sidecar.io/inject" in notes()
    assert "helm test watch --namespace models" in notes()
    assert "has no native sidecars" in notes(kubeVersion="1.28.0")
    assert "create secret generic model-sidecar-webhook" in notes(rollback={"enabled": True, "policies": POLICIES})
    assert "Nothing is injected" in notes(injector=OFF)
    assert "helm test" not in notes(injector=OFF)


def test_the_test_pod_runs_a_program_that_python_reads() -> None:
    for case in ("defaults", "everything-on", "no-operator"):
        [pod] = of_kind(rendered(**TABLE[case]), "Pod").values()
        [program] = pod["spec"]["containers"][0]["args"]
        compile(program, "test", "exec")
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_an_unknown_kind_is_no_silent_success() -> None:
    with pytest.raises(NoSchema):
        mistakes({"apiVersion": "v1", "kind": "Pdo"}, NEWEST)
    assert mistakes({"apiVersion": "v1", "kind": "Pod", "spec": {"container": []}}, NEWEST)
    monitor = of_kind(rendered(), "PodMonitor")["watch-sidecars"]
    assert mistakes({**monitor, "spec": {**monitor["spec"], "podMetricEndpoints": []}}, NEWEST)


@pytest.mark.parametrize("case", ["everything-on", "everything-off", "cert-manager", "policy"])
def test_helm_lints_it_with_other_values(case: str) -> None:
    assert lint(CHART, TABLE[case])["errors"] == []
