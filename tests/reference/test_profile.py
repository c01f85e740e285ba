import json
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sidecar.reference import build
from sidecar.reference.profile import (
    CategoricalProfile,
    NumericProfile,
    Profile,
    ProfileError,
    check,
    dump,
    load,
    parse,
    save,
    season_counts,
)
from sidecar.statistics.bins import CategoricalBins, NumericBins
from sidecar.statistics.season import Season

CREATED = datetime(2026, 11, 2, 12, 30, tzinfo=UTC)
AMOUNT = NumericProfile(
    name="amount", edges=(1.5, 3.0), counts=(4, 3, 2), missing=1, min=0.5, max=9.0, mean=2.0, std=1.5
)
MERCHANT = CategoricalProfile(name="merchant", categories=("visa", "é,\n"), counts=(5, 3), other=2, missing=0)
CHANCE = NumericProfile(name="probability", role="output", edges=(), counts=(10,), missing=0, design_effect=2.25)
PROFILE = Profile(
    model="fraud",
    model_version="7",
    source="train.csv",
    created=CREATED,
    rows=10,
    window_rows=1,
    features=(AMOUNT, MERCHANT, CHANCE),
)


def test_a_profile_is_read_as_it_was_written() -> None:
    assert parse(dump(PROFILE), source="p.json") == PROFILE
    assert dump(parse(dump(PROFILE), source="p.json")) == dump(PROFILE)


def test_a_profile_is_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save(PROFILE, path)
    save(PROFILE, path)
    assert load(path) == PROFILE
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.json"]


def test_the_file_has_a_line_for_each_feature_and_the_fingerprint_first() -> None:
    lines = dump(PROFILE).decode().splitlines()
    assert lines[1:3] == ['  "version": 1,', f'  "fingerprint": "{PROFILE.fingerprint}",']
    assert '  "created": "2026-11-02T12:30:00Z",' in lines
    assert sum('"kind"' in line for line in lines) == 3


def test_time_of_another_zone_is_written_in_utc() -> None:
    elsewhere = replace(PROFILE, created=CREATED.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert dump(elsewhere) == dump(PROFILE)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"none\.json: No such file or directory"):
        load(tmp_path / "none.json")


def test_bins_and_counts_have_one_order() -> None:
    for feature in PROFILE.features:
        assert len(feature.bin_counts()) == feature.bins().size
    numeric, categorical, _ = (feature.bins() for feature in PROFILE.features)
    assert isinstance(numeric, NumericBins)
    assert isinstance(categorical, CategoricalBins)
    assert numeric.edges.tolist() == [1.5, 3.0]
    assert MERCHANT.bin_counts() == (5, 3, 2, 0)


def test_inputs_and_outputs_are_told_apart() -> None:
    assert PROFILE.inputs == (AMOUNT, MERCHANT)
    assert PROFILE.output("probability") == CHANCE
    assert PROFILE.output("prediction") is None
    assert PROFILE.output("amount") is None


@pytest.mark.parametrize(
    "changed",
    [
        replace(AMOUNT, name="sum"),
        replace(AMOUNT, edges=(1.5, 3.0000000000000004)),
        replace(AMOUNT, counts=(3, 4, 2)),
        replace(AMOUNT, counts=(4, 3, 1), missing=2),
        replace(AMOUNT, name="prediction", role="output"),
    ],
)
def test_fingerprint_changes_with_names_bins_and_counts(changed: NumericProfile) -> None:
    other = replace(PROFILE, features=(changed, MERCHANT, CHANCE))
    assert other.fingerprint != PROFILE.fingerprint


def test_fingerprint_changes_with_categories() -> None:
    for changed in (
        replace(MERCHANT, categories=("visa", "amex")),
        replace(MERCHANT, categories=("é,\n", "visa")),
        replace(MERCHANT, counts=(5, 4), other=1),
    ):
        assert replace(PROFILE, features=(AMOUNT, changed, CHANCE)).fingerprint != PROFILE.fingerprint


def test_fingerprint_stays_with_what_is_not_compared() -> None:
    same = replace(
        PROFILE,
        model="x",
        model_version="8",
        source="y",
        created=CREATED + timedelta(1),
        window_rows=2,
        features=(replace(AMOUNT, min=0.0, mean=9.0, std=None, design_effect=3.0), MERCHANT, CHANCE),
    )
    assert same.fingerprint == PROFILE.fingerprint
    assert len(PROFILE.fingerprint) == 8
    int(PROFILE.fingerprint, 16)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"features": ()}, "it has no features"),
    ({"created": datetime(1, 1, 1, tzinfo=UTC)}, "created is 0001-01-01T00:00:00+00:00, not a time since 1970"),
    ({"created": datetime(9999, 12, 31, tzinfo=UTC)}, "created is 9999-12-31T00:00:00+00:00, not a time since 1970"),
    ({"features": (AMOUNT, AMOUNT)}, "input 'amount' is there twice"),
    ({"features": (replace(AMOUNT, name=""),)}, "a feature has no name"),
    (
        {"features": (replace(AMOUNT, role="output"),)},
        "output 'amount': an output is named prediction or probability",
    ),
    (
        {"features": (replace(MERCHANT, name="probability", role="output"),)},
        "output 'probability': a probability is numeric",
    ),
    ({"features": (replace(AMOUNT, edges=(3.0, 1.5)),)}, "input 'amount': edges do not increase"),
    ({"features": (replace(AMOUNT, edges=(3.0, 3.0)),)}, "input 'amount': edges do not increase"),
    ({"features": (replace(AMOUNT, edges=(3.0, math.inf)),)}, "input 'amount': an edge is not finite"),
    ({"features": (replace(AMOUNT, edges=(math.nan, 1.0)),)}, "input 'amount': an edge is not finite"),
    ({"features": (replace(AMOUNT, edges=(3.0,)),)}, "input 'amount': 3 counts for 2 bins"),
    ({"features": (replace(MERCHANT, categories=("visa",)),)}, "input 'merchant': 2 counts for 1 bins"),
    (
        {"features": (replace(MERCHANT, categories=("a", "a")),)},
        "input 'merchant': a category is there twice",
    ),
    ({"features": (replace(AMOUNT, counts=(14, -4, -1)),)}, "input 'amount': a count is negative"),
    ({"features": (replace(AMOUNT, missing=2),)}, "input 'amount': counts add up to 11, not to the 10 rows"),
    (
        {"features": (replace(AMOUNT, design_effect=0.5),)},
        "input 'amount': design_effect is 0.5, not a number of at least 1",
    ),
    (
        {"features": (replace(AMOUNT, design_effect=math.nan),)},
        "input 'amount': design_effect is nan, not a number of at least 1",
    ),
    ({"features": (replace(AMOUNT, counts=(0, 0, 0), missing=0),), "rows": 0}, "it was built from no rows"),
    ({"features": (replace(AMOUNT, missing=2**60),), "rows": 2**60 + 9}, "more rows than can be counted"),
    (
        {"features": (replace(AMOUNT, name='a"b'),)},
        "input 'a\"b': a name holds no quotes, backslashes or control characters",
    ),
    (
        {"features": (replace(MERCHANT, name="a\nb"),)},
        "input 'a\\nb': a name holds no quotes, backslashes or control characters",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_contradiction_is_refused_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError) as refused:
        check(replace(PROFILE, **changes))
    assert str(refused.value) == message


DOCUMENT: dict[str, Any] = json.loads(dump(PROFILE))

UNREADABLE: list[tuple[bytes, str]] = [
    (b"", "p.json: not a reference profile: Input data was truncated"),
    (b"[]", "p.json: not a reference profile: Expected `object`, got `array`"),
    (b"{}", "p.json: not a reference profile: Object missing required field `created`"),
    (
        json.dumps(DOCUMENT | {"version": 2}).encode(),
        "p.json: not a reference profile: Invalid enum value 2 - at `$.version`",
    ),
    (
        json.dumps(DOCUMENT | {"colour": "red"}).encode(),
        "p.json: not a reference profile: Object contains unknown field `colour`",
    ),
    (
        json.dumps(DOCUMENT | {"rows": "10"}).encode(),
        "p.json: not a reference profile: Expected `int`, got `str` - at `$.rows`",
    ),
    (
        json.dumps(DOCUMENT | {"fingerprint": "00000000"}).encode(),
        f"p.json: fingerprint is '00000000' but the content has '{PROFILE.fingerprint}': edited by hand?",
    ),
    (
        json.dumps(DOCUMENT | {"rows": 11}).encode(),
        "p.json: input 'amount': counts add up to 10, not to the 11 rows",
    ),
    (
        json.dumps(DOCUMENT | {"created": "2026-11-02T12:30:00"}).encode(),
        "p.json: not a reference profile: Expected `datetime` with a timezone component - at `$.created`",
    ),
]


@pytest.mark.parametrize(("content", "message"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_file_that_is_no_profile_is_refused_by_name(content: bytes, message: str) -> None:
    with pytest.raises(ProfileError) as refused:
        parse(content, source="p.json")
    assert str(refused.value) == message


def test_a_profile_without_fingerprint_is_taken() -> None:
    document = {key: value for key, value in DOCUMENT.items() if key != "fingerprint"}
    assert parse(json.dumps(document).encode(), source="p.json") == PROFILE


def _survives(content: bytes) -> None:
    try:
        profile = parse(content, source="p.json")
    except ProfileError:
        return
    assert parse(dump(profile), source="p.json").fingerprint == profile.fingerprint
    for feature in profile.features:
        assert np.array(feature.bin_counts(), dtype=np.int64).sum() == profile.rows


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_no_profile(content: bytes) -> None:
    with pytest.raises(ProfileError, match=r"^p\.json: ."):
        parse(content, source="p.json")


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64, 10**400, 0, 10])
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["input", "output", "numeric", "categorical", "probability", "0001-01-01T00:00:00+14:00"])
)
anything = values | st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=2)


@given(st.data())
def test_a_mutated_profile_is_a_profile_or_refused(data: st.DataObject) -> None:
    document = json.loads(dump(PROFILE))
    document.pop("fingerprint")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(
            st.sampled_from([document, *document["features"]]) if document.get("features") else st.just(document)
        )
        if not isinstance(place, dict):
            continue
        key = data.draw(st.sampled_from(sorted(place)))
        if data.draw(st.booleans()) and key != "features":
            place.pop(key)
        elif key != "features":
            place[key] = data.draw(anything)
    _survives(json.dumps(document).encode())


@given(st.data())
def test_flipped_bytes_make_a_profile_or_a_refusal(data: st.DataObject) -> None:
    content = bytearray(dump(PROFILE))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _survives(bytes(content))


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b'{"rows": 1e400}', b'"\xff"'])
def test_hostile_content_is_no_profile(content: bytes) -> None:
    with pytest.raises(ProfileError, match=r"^p\.json: ."):
        parse(content, source="p.json")


def _seasonal(**changes: Any) -> Profile:
    """Of ten rows, four came in the first hour of the week and five in the second; one has no time."""
    rows = (4, 5, *[0] * 166)
    features = tuple(replace(f, season_counts=_by_slot(f.bin_counts(), rows)) for f in PROFILE.features)
    season = Season(cycle="hour-of-week", time_zone="Europe/Berlin")
    return replace(PROFILE, season=season, season_rows=rows, features=features, **changes)


def _by_slot(counts: tuple[int, ...], rows: tuple[int, ...]) -> bytes:
    """Deal counts out to slots, the first bins to the first slots."""
    values = np.repeat(np.arange(len(counts)), counts)[: sum(rows)]
    slots = np.repeat(np.arange(len(rows)), rows)
    return np.histogram2d(slots, values, bins=(range(len(rows) + 1), range(len(counts) + 1)))[0].astype("<u4").tobytes()


def test_counts_by_season_are_read_as_they_were_written() -> None:
    profile = parse(dump(_seasonal()), source="p.json")
    assert profile == _seasonal()
    assert profile.season is not None
    by_slot = season_counts(profile.features[0], profile.season)
    assert by_slot[:3].tolist() == [[4, 0, 0, 0], [0, 3, 2, 0], [0, 0, 0, 0]]


def test_counts_by_season_are_part_of_the_fingerprint_and_nothing_changes_without_them() -> None:
    seasonal = _seasonal()
    moved = replace(seasonal, season_rows=(0, 4, 5, *[0] * 165))
    assert len({PROFILE.fingerprint, seasonal.fingerprint, moved.fingerprint}) == 3
    assert b"season" not in dump(PROFILE)


def _without_a_feature(profile: Profile) -> Profile:
    return replace(profile, features=(replace(profile.features[0], season_counts=b""), *profile.features[1:]))


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (replace(PROFILE, season_rows=(1,)), "without a season"),
        (replace(_seasonal(), season=None, season_rows=()), "without a season"),
        (replace(_seasonal(), season_rows=(4, 5)), "season_rows has 2 numbers for 168 slots"),
        (replace(_seasonal(), season_rows=(4, 4, *[0] * 166)), "do not add up to season_rows"),
        (replace(_seasonal(), season=Season(cycle="hour-of-day")), "season_rows has 168 numbers for 24 slots"),
        (replace(_seasonal(), season=Season(cycle="hour-of-week", time_zone="Nowhere")), "no time zone 'Nowhere'"),
        (_without_a_feature(_seasonal()), "input 'amount': season_counts is not of 168 slots and 4 bins"),
        (
            replace(_seasonal(), rows=9, features=(replace(_seasonal().features[0], counts=(3, 3, 2)),)),
            "input 'amount': season_counts add up to more than counts",
        ),
    ],
)
def test_counts_by_season_that_contradict_the_rest_are_refused(profile: Profile, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        check(profile)


@pytest.mark.parametrize("change", [{"season": {"cycle": "hour-of-year"}}, {"season_rows": [-1.5]}])
def test_a_season_that_is_none_is_refused_where_it_is_read(change: dict[str, Any]) -> None:
    document = json.loads(dump(_seasonal())) | change
    with pytest.raises(ProfileError, match="not a reference profile"):
        parse(json.dumps(document).encode(), source="p.json")


def test_design_effects_of_another_smoothing_are_refused_and_those_of_old_files_taken(tmp_path: Path) -> None:
    profile = build({"x": [1.0, 2.0, 3.0]})
    document = json.loads(dump(profile))
    assert document["smoothing"] == "floor-0.0005"
    other = json.dumps(document | {"smoothing": "none"}).encode()
    with pytest.raises(ProfileError, match=r"of a PSI smoothed as 'none', not as 'floor-0\.0005': build it again"):
        parse(other, source="x")
    del document["smoothing"]
    earlier = parse(json.dumps(document).encode(), source="x")
    assert earlier == replace(profile, smoothing="jeffreys-to-reference")
    assert parse(dump(earlier), source="x") == earlier
