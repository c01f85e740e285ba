"""Panels: one function for each kind, so that all panels of a kind behave the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import barchart, heatmap, prometheus, stat, statetimeline, statushistory, table
from grafana_foundation_sdk.builders import common as common_build
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import timeseries as lines_build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from sidecar.dashboards import look
from sidecar.dashboards.promql import Query

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
REFS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_POINTS = 120
"""Cells in a row of a state timeline or a status history, so that each is wide enough to see."""

Options = dict[str, Any]
Link = tuple[str, str]
"""Title and URL."""

P = TypeVar(
    "P",
    barchart.Panel,
    heatmap.Panel,
    stat.Panel,
    statetimeline.Panel,
    statushistory.Panel,
    table.Panel,
    lines_build.Panel,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What every panel has: title, description, unit, and the thresholds from which a value is worse."""

    title: str
    description: str
    unit: str = "short"
    steps: look.Steps = look.PLAIN
    decimals: int | None = None
    no_value: str = "no data"
    runbooks: Sequence[Link] = ()
    """Links in the corner of the panel."""
    links: Sequence[Link] = ()
    """Links of its values."""
    mappings: Callable[[], list[dashboard.ValueMapping]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A panel and the room it takes: of 24 columns, and rows."""

    panel: Builder[dashboard.Panel]
    width: int
    height: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: a label, or the value of a query by its letter (`#A`)."""

    of: str
    title: str
    unit: str = ""
    decimals: int | None = None
    width: int | None = None
    steps: look.Steps = ()
    mappings: Callable[[], list[dashboard.ValueMapping]] | None = None
    links: Sequence[Link] = field(default=())


def lines(
    about: About,
    *queries: Query,
    show_limits: bool = False,
    colours: Sequence[str] = (),
    dashed: Sequence[str] = (),
    stacked: bool = False,
    bars: bool = False,
    least: float | None = 0,
    most: float | None = None,
) -> lines_build.Panel:
    """Draw series over time. `colours` are by query, `dashed` the letters of queries drawn as dashed lines."""
    legend = common_build.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
    legend = legend.placement(common.LegendPlacement.BOTTOM).show_legend(True)
    tooltip = common_build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = lines_build.Panel().legend(legend).tooltip(tooltip.sort(common.SortOrder.DESCENDING))
    panel = panel.show_points(common.VisibilityMode.AUTO).line_width(2).fill_opacity(80 if bars else 5)
    if bars:
        panel = panel.draw_style(common.GraphDrawStyle.BARS)
    if stacked:
        panel = panel.stacking(common_build.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    mode = common.GraphThresholdsStyleMode.DASHED if show_limits else common.GraphThresholdsStyleMode.OFF
    panel = panel.thresholds_style(common_build.GraphThresholdsStyleConfig().mode(mode))
    panel = panel.axis_soft_min(0) if least is None else panel.min(least)
    if most is not None:
        panel = panel.max(most)
    for ref, colour in zip(REFS, colours, strict=False):
        panel = panel.override_by_query(ref, [_property("color", {"mode": "fixed", "fixedColor": colour})])
    for ref in dashed:
        style = {"fill": "dash", "dash": [10, 6]}
        panel = panel.override_by_query(ref, [_property("custom.lineStyle", style), _property("custom.fillOpacity", 0)])
    return _dressed(panel, about, queries)


def number(about: About, *queries: Query) -> stat.Panel:
    """Show a number, or its word, for each series."""
    panel = stat.Panel().color_mode(common.BigValueColorMode.BACKGROUND_SOLID if about.mappings else _VALUE)
    panel = panel.graph_mode(common.BigValueGraphMode.NONE).text_mode(common.BigValueTextMode.AUTO)
    panel = panel.reduce_options(common_build.ReduceDataOptions().calcs(["lastNotNull"]))
    return _dressed(panel, about, queries)


_VALUE = common.BigValueColorMode.VALUE


def cells(about: About, *queries: Query) -> statushistory.Panel:
    """Show a row of cells for each series, coloured by their thresholds."""
    panel = statushistory.Panel().show_value(common.VisibilityMode.NEVER).row_height(0.9).col_width(0.95)
    panel = panel.per_page(40).max_data_points(MOST_POINTS)
    panel = panel.legend(_list_legend()).tooltip(
        common_build.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE)
    )
    return _dressed(panel, about, queries)


def states(about: About, *queries: Query) -> statetimeline.Panel:
    """Show which state each series was in, in words."""
    panel = statetimeline.Panel().show_value(common.VisibilityMode.AUTO).row_height(0.8).merge_values(True)
    panel = panel.max_data_points(MOST_POINTS).legend(_list_legend())
    panel = panel.tooltip(common_build.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE))
    return _dressed(panel, about, queries)


def heat(about: About, query: Query) -> heatmap.Panel:
    """Show a histogram over time, lighter where there are more."""
    colour = heatmap.HeatmapColorOptions().mode(heatmap_models.HeatmapColorMode.SCHEME).scheme("Cividis").steps(64)
    colour = colour.scale(heatmap_models.HeatmapColorScale.EXPONENTIAL).exponent(0.5).fill("dark-orange")
    axis = heatmap.YAxisConfig().unit(about.unit).axis_placement(common.AxisPlacement.LEFT)
    panel = (
        heatmap.Panel()
        .calculate(False)
        .color(colour)
        .y_axis(axis)
        .show_color_scale(True)
        .show_legend()
        .exemplars_color(look.NEUTRAL)
    )
    panel = panel.cell_values(heatmap.CellValues().unit("short")).filter_values(heatmap.FilterValueRange().le(1e-9))
    return _dressed(panel, about, [query])


def bars(
    about: About, by: str, named: Mapping[str, Query], *, colours: Sequence[str], keep: Sequence[str], sort: str
) -> barchart.Panel:
    """Compare values by a label, one bar for each query; `keep` are labels that order the bars and are not shown."""
    panel = barchart.Panel().x_field(by).orientation(common.VizOrientation.AUTO).group_width(0.8).bar_width(0.95)
    panel = panel.x_tick_label_rotation(-45).x_tick_label_max_length(24).show_value(common.VisibilityMode.NEVER)
    panel = panel.legend(_list_legend()).fill_opacity(90)
    panel = panel.tooltip(common_build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    for title, colour in zip(named, colours, strict=True):
        panel = panel.override_by_name(title, [_property("color", {"mode": "fixed", "fixedColor": colour})])
    panel = _dressed(panel, about, list(named.values()))
    renamed = {_value_field(i, len(named)): title for i, title in enumerate(named)}
    return _transformed(
        panel,
        [("sortBy", {"fields": {}, "sort": [{"field": sort, "desc": False}]})],
        hidden=["Time", *keep],
        order=[by, *named],
        renamed=renamed,
    )


def rows(about: About, columns: Sequence[Column], *queries: Query, sort: str, descending: bool = True) -> table.Panel:
    """Show a table: a row for each set of labels, joined over the queries."""
    by = common_build.TableSortByFieldState().display_name(sort).desc(descending)
    panel = table.Panel().sort_by([by]).cell_height(common.TableCellHeight.SM).show_header(True).filterable(True)
    for column in columns:
        if properties := _column_properties(column):
            panel = panel.override_by_name(column.title, properties)
    panel = _dressed(panel, about, queries)
    renamed = {}
    for column in columns:
        index = REFS.index(column.of[1]) if column.of.startswith("#") else -1
        renamed[_value_field(index, len(queries)) if index >= 0 else column.of] = column.title
    return _transformed(panel, [], hidden=["Time"], order=[c.title for c in columns], renamed=renamed)


def _column_properties(column: Column) -> list[dashboard.DynamicConfigValue]:
    found = []
    if column.unit:
        found.append(_property("unit", column.unit))
    if column.decimals is not None:
        found.append(_property("decimals", column.decimals))
    if column.width is not None:
        found.append(_property("custom.width", column.width))
    if column.steps:
        steps = [{"value": value, "color": colour} for value, colour in column.steps]
        found.append(_property("thresholds", {"mode": "absolute", "steps": steps}))
        found.append(_property("color", {"mode": "thresholds"}))
        found.append(_property("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    if column.mappings:
        found.append(_property("mappings", [mapping.to_json() for mapping in column.mappings()]))
    if column.links:
        found.append(_property("links", [{"title": title, "url": url} for title, url in column.links]))
    return found


def _transformed(
    panel: P, first: list[tuple[str, Options]], *, hidden: Sequence[str], order: Sequence[str], renamed: dict[str, str]
) -> P:
    fields = {title: name for name, title in renamed.items()}
    organize = {
        "excludeByName": dict.fromkeys(hidden, True),
        "indexByName": {fields.get(title, title): i for i, title in enumerate(order)},
        "renameByName": renamed,
    }
    steps: list[tuple[str, Options]] = [("merge", {}), *first, ("organize", organize)]
    return panel.transformations([dashboard.DataTransformerConfig(id_val=name, options=opts) for name, opts in steps])


def _value_field(index: int, count: int) -> str:
    return "Value" if count == 1 else f"Value #{REFS[index]}"


def _dressed(panel: P, about: About, queries: Sequence[Query]) -> P:
    panel = panel.title(about.title).description(about.description).datasource(DATASOURCE)
    panel = panel.unit(about.unit).thresholds(look.thresholds(about.steps)).no_value(about.no_value)
    if about.decimals is not None:
        panel = panel.decimals(about.decimals)
    if about.mappings:
        panel = panel.mappings(about.mappings())
    if about.mappings or isinstance(panel, stat.Panel | statushistory.Panel):
        panel = panel.color_scheme(build.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
    if about.links:
        panel = panel.data_links([build.DashboardLink(title).url(url) for title, url in about.links])
    if about.runbooks:
        panel = panel.links(
            [build.DashboardLink(title).url(url).target_blank(True).type(_LINK) for title, url in about.runbooks]
        )
    for ref, query in zip(REFS, queries, strict=False):
        panel = panel.with_target(_target(ref, query))
    return panel


_LINK = dashboard.DashboardLinkType.LINK


def _target(ref: str, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(DATASOURCE).ref_id(ref).expr(query.expr).legend_format(query.legend)
    formats = {"table": PromQueryFormat.TABLE, "heatmap": PromQueryFormat.HEATMAP}
    target = target.format(formats.get(query.form, PromQueryFormat.TIME_SERIES))
    return target.instant() if query.form in ("instant", "table") else target.range()


def _list_legend() -> common_build.VizLegendOptions:
    legend = common_build.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST)
    return legend.placement(common.LegendPlacement.BOTTOM).show_legend(True)


def _property(name: str, value: object) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val=name, value=value)
