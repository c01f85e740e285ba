"""How values look: levels in words, colours that everybody can tell apart, thresholds."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard

from sidecar.alerting.rules.settings import Thresholds

NEUTRAL = "#56B4E9"
LIVE = "#E08214"
REFERENCE = "#56B4E9"
LIMIT = "#B2310D"

LEVELS = {
    "none": "#56B4E9",
    "moderate": "#F0E442",
    "significant": "#E08214",
    "critical": "#B2310D",
    "rollback": "#6A1B6A",
}
"""Colour of each level, by its number from 0. They differ in lightness as well as in hue; a test measures how well they
can be told apart with each kind of colour blindness. A word always stands beside them."""

SERIES = ("#56B4E9", "#E08214", "#F0E442", "#B2310D", "#6A1B6A", "#009E73", "#BBBBBB")
"""Colours of series whose number is known, in order."""

Steps = Sequence[tuple[float | None, str]]

PLAIN: Steps = ((None, NEUTRAL),)


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Return thresholds: from which value on which colour holds, the first from None."""
    models = [dashboard.Threshold(value=value, color=colour) for value, colour in steps]
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(models)


def limit(*values: float) -> Steps:
    """Return thresholds for a value that is fine below the first limit, and worse from each one on."""
    return ((None, NEUTRAL), *zip(values, (LEVELS["significant"], LEVELS["critical"]), strict=False))


def at_least(value: float) -> Steps:
    """Return thresholds for a value that is fine from a limit on."""
    return ((None, LEVELS["critical"]), (value, NEUTRAL))


def psi_steps(levels: Thresholds) -> Steps:
    """Return the PSI at which each level begins."""
    begins = (None, levels.moderate, levels.significant, levels.critical, levels.rollback)
    return tuple(zip(begins, LEVELS.values(), strict=True))


LEVEL_STEPS: Steps = tuple(zip((None, 1.0, 2.0, 3.0, 4.0), LEVELS.values(), strict=True))


def level_words() -> list[dashboard.ValueMapping]:
    """Map the number of a level to its word and colour."""
    return words({str(number): word for number, word in enumerate(LEVELS)}, colours=tuple(LEVELS.values()))


def words(texts: dict[str, str], *, colours: Sequence[str] = ()) -> list[dashboard.ValueMapping]:
    """Map values to words, each with its colour where there is one."""
    results = {
        value: dashboard.ValueMappingResult(text=text, color=colours[i] if colours else None, index=i)
        for i, (value, text) in enumerate(texts.items())
    }
    return [dashboard.ValueMap(options=results)]


YES_NO = {"0": "no", "1": "yes"}
