"""Variables of the dashboards. The rules link to dashboards by `var-namespace`, `var-model` and `var-feature`."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from sidecar.alerting.rules import names
from sidecar.alerting.rules.settings import Drift
from sidecar.dashboards.panels import DATASOURCE
from sidecar.dashboards.promql import pick
from sidecar.exposition import model_metrics

Variable = Builder[dashboard.VariableModel]

ANYTHING = ".*"
"""What stands for all values: it fits series without the label too, such as `namespace` outside of Kubernetes."""


def data_source() -> Variable:
    """Choose the Prometheus to ask."""
    return build.DatasourceVariable("datasource").type("prometheus").label("Data source")


def window(drift: Drift) -> Variable:
    """Choose over how long drift is computed, among the windows that are recorded."""
    options = [_option(name, selected=name == drift.alert_window) for name in drift.windows]
    variable = build.CustomVariable("window").values(",".join(drift.windows)).label("Window").options(options)
    return variable.current(_option(drift.alert_window, selected=True)).description("Alerts read the one chosen first.")


def several(name: str, title: str, series: str, *, label: str = "", all_value: str = ANYTHING) -> Variable:
    """Choose some values, or all, of a label of a series; the variable has its name unless `label` says otherwise."""
    everything = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        _of_label(name, title, series, label or name)
        .multi(True)
        .include_all(True)
        .all_value(all_value)
        .current(everything)
    )


def one(name: str, title: str, series: str) -> Variable:
    """Choose one value of a label of a series."""
    return _of_label(name, title, series, name)


def namespaces() -> Variable:
    """Choose namespaces that have models."""
    return several("namespace", "Namespace", model_metrics.PREDICTIONS.name)


def models() -> Variable:
    """Choose models of the namespaces."""
    return several("model", "Model", pick(model_metrics.PREDICTIONS.name, 'namespace=~"$namespace"'))


def features() -> Variable:
    """Choose features of the models."""
    return several("feature", "Feature", pick(names.SIGNIFICANCE, 'namespace=~"$namespace"', 'model=~"$model"'))


def one_feature() -> Sequence[Variable]:
    """Choose one feature of one model, and references that it is compared with."""
    selectors = ['namespace=~"$namespace"', 'model="$model"', 'role="$role"', 'feature="$feature"']
    return [
        namespaces(),
        one("model", "Model", pick(names.SIGNIFICANCE, selectors[0])),
        one("role", "Role", pick(names.SIGNIFICANCE, *selectors[:2])),
        one("feature", "Feature", pick(names.SIGNIFICANCE, *selectors[:3])),
        several("reference", "Reference", pick(names.SIGNIFICANCE, *selectors)),
    ]


def _of_label(name: str, title: str, series: str, label: str) -> build.QueryVariable:
    variable = build.QueryVariable(name).label(title).datasource(DATASOURCE).query(f"label_values({series}, {label})")
    variable = variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(dashboard.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _option(name: str, *, selected: bool) -> dashboard.VariableOption:
    return dashboard.VariableOption(selected=selected, text=name, value=name)
