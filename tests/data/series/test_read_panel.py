"""Panels: every kind of table gives the same series, on their grid, with covariates encoded."""

import gzip
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.series.covariates import future_of
from recurra.data.series.panel import Schema
from recurra.data.series.read import open_panel, read_panel
from recurra.data.tables.columns import TableColumns
from recurra.errors import DataError

TABLE = pd.DataFrame(
    {
        "unique_id": ["b", "b", "b", "a", "a"],
        "ds": pd.to_datetime(
            ["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-02", "2024-01-03"]
        ),
        "y": [1.0, 2.0, 4.0, 7.0, 8.0],
        "price": [10.0, 20.0, 10.0, 20.0, 15.0],
        "promo": ["no", "yes", "no", None, "yes"],
        "size": [3, 3, 3, 5, 5],
    }
)
COVARIATES = TableColumns(past=("price",), future=("promo",), static=("size",))
AHEAD = pd.DataFrame(
    {
        "unique_id": ["a", "a", "b", "b"],
        "ds": pd.to_datetime(["2024-01-04", "2024-01-05", "2024-01-06", "2024-01-05"]),
        "promo": ["no", "yes", None, "yes"],
    }
)


def to_csv(table, folder):
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return path


def to_gzip(table, folder):
    path = folder / "table.tsv.gz"
    path.write_bytes(gzip.compress(table.to_csv(index=False, sep="\t").encode()))
    return str(path)


def to_parquet(table, folder):
    path = folder / "table.parquet"
    table.to_parquet(path)
    return path


SOURCES = {
    "pandas": lambda table, folder: table,
    "pandas, shuffled": lambda table, folder: table.iloc[[2, 4, 0, 1, 3]],
    "pandas, nullable": lambda table, folder: table.convert_dtypes(),
    "pandas, categories": lambda table, folder: table.astype({"unique_id": "category"}),
    "pandas, dates as text": lambda table, folder: table.assign(ds=table.ds.astype(str)),
    "polars": lambda table, folder: pl.from_pandas(table),
    "polars, categories": lambda table, folder: pl.from_pandas(table).with_columns(
        pl.col("unique_id", "promo").cast(pl.Categorical), pl.col("ds").cast(pl.Date)
    ),
    "csv": to_csv,
    "tsv.gz": to_gzip,
    "parquet": to_parquet,
}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path):
    return SOURCES[request.param](TABLE, tmp_path)


def same(values, expected):
    return np.array_equal(values, expected, equal_nan=True)


def series(panel):
    return {i: panel.values(n).tolist() for n, i in enumerate(panel.ids)}


def test_every_kind_of_table_gives_the_same_series(source):
    panel = read_panel(source, TableColumns())
    b, a = panel.ids.tolist().index("b"), panel.ids.tolist().index("a")
    assert panel.frequency.name == "D"
    assert same(panel.values(b), [1, 2, np.nan, 4])
    assert same(panel.values(a), [7, 8])
    assert panel.stamps(b).astype("M8[D]").astype(str).tolist()[2:] == ["2024-01-03", "2024-01-04"]


def test_every_kind_of_table_gives_the_same_covariates(source):
    panel = read_panel(source, COVARIATES)
    panel = panel.select(np.argsort(panel.ids)[::-1])
    assert np.allclose(panel.past[:, 0] * np.sqrt(20) + 15, [10, 20, 15, 10, 20, 15])
    assert panel.future.tolist()[:3] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert panel.future.tolist()[4:] == [[0, 0, 1], [0, 1, 0]]
    assert panel.static.tolist() == [[-1], [1]]


def test_the_kind_of_frame_is_remembered():
    assert read_panel(TABLE, TableColumns()).frame_kind == "pandas"
    assert read_panel(pl.from_pandas(TABLE), TableColumns()).frame_kind == "polars"


def test_wide_is_long(tmp_path):
    wide = TABLE.pivot(index="ds", columns="unique_id", values="y").reset_index()
    panel = read_panel(to_csv(wide, tmp_path), TableColumns(layout="wide"))
    assert panel.ids.tolist() == ["a", "b"]
    assert same(panel.values(0), [7, 8, np.nan])  # its first value starts it, the table ends it
    assert same(panel.values(1), [1, 2, np.nan, 4])


def test_wide_without_stamps_counts_rows():
    panel = read_panel(
        pl.DataFrame({"u": [5, 6], "v": [None, 8]}), TableColumns(layout="wide", time="")
    )
    assert series(panel) == {"u": [5, 6], "v": [8]}
    assert (panel.starts.tolist(), panel.frequency.whole) == ([1, 2], True)


@pytest.mark.parametrize("header", ["", "V1,V2,V3,V4\n", "id,1,2,3\n"])
def test_rows_of_a_file(tmp_path, header):
    path = tmp_path / "rows.csv"
    path.write_text(header + "x,1,NA,3,,\n007,4\n")
    panel = read_panel(path, TableColumns(layout="rows"))
    assert panel.ids.tolist() == ["x", "007"]
    assert same(panel.y, [1, np.nan, 3, 4])
    assert (panel.starts.tolist(), panel.last.tolist()) == ([1, 1], [3, 1])


def test_rows_of_a_frame():
    panel = read_panel(
        pl.DataFrame({"i": [3, 4], "a": [1, 2], "b": [5, None]}), TableColumns(layout="rows")
    )
    assert series(panel) == {3: [1, 5], 4: [2]}


def test_ids_of_a_file_are_what_they_look_like(tmp_path):
    for written, meant in (("7", 7), ("07", "07"), ("x", "x")):
        table = TABLE.assign(unique_id=written).drop_duplicates("ds")
        assert read_panel(to_csv(table, tmp_path), TableColumns()).ids.tolist() == [meant]


def test_dates_with_the_day_first():
    table = TABLE.iloc[:2].assign(ds=["31/01/2024", "01/02/2024"])
    panel = read_panel(table, TableColumns())
    assert panel.last.astype("M8[D]").astype(str).tolist() == ["2024-02-01"]


def test_all_missing_and_single_values_are_no_errors():
    panel = read_panel(TABLE.assign(y=np.nan).iloc[:4], TableColumns())
    assert panel.lengths.tolist() == [4, 1]
    assert np.isnan(panel.y).all()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=12), min_size=1, max_size=6), st.randoms()
)
def test_any_rows_in_any_order(present, random):
    rows = [
        (n, t, 100.0 * n + t)
        for n, steps in enumerate(present)
        for t, there in enumerate(steps)
        if there
    ]
    rows += [(n, len(steps), -1.0) for n, steps in enumerate(present)] + [(9, 0, 0.5), (9, 1, 0.5)]
    random.shuffle(rows)
    panel = read_panel(pd.DataFrame(rows, columns=["unique_id", "ds", "y"]), TableColumns(freq="1"))
    back = [
        (i, t, y)
        for n, i in enumerate(panel.ids)
        for t, y in zip(panel.stamps(n).tolist(), panel.values(n).tolist(), strict=True)
        if not np.isnan(y)
    ]
    assert sorted(back) == sorted(rows)


def test_many_series_keep_their_order():
    count = 70_000  # more than sixteen bits hold
    table = pd.DataFrame({"unique_id": np.arange(count), "ds": 2, "y": np.arange(count) + 0.5})
    both = pd.concat([table, table.assign(ds=1, y=-table.y)])
    panel = read_panel(both, TableColumns())
    assert panel.ids.tolist() == list(range(count))
    assert (panel.y.reshape(-1, 2)[:, 1] == table.y).all()


def test_cuts():
    panel = read_panel(TABLE, COVARIATES)
    head, tail = panel.until(np.array([2, 1])), panel.tail(1)
    assert (head.y.tolist(), tail.y.tolist()) == ([1, 2, 7], [4, 8])
    assert (tail.last == panel.last).all()
    assert (tail.past[:, 0] == panel.past[[3, 5], 0]).all()
    assert head.last.astype("M8[D]").astype(str).tolist() == ["2024-01-02", "2024-01-02"]
    assert panel.until(np.array([0, 0])).lengths.tolist() == [0, 0]


def test_choices():
    panel = read_panel(TABLE, COVARIATES)
    turned = panel.select(np.array([1, 0]))
    assert turned.ids.tolist() == ["a", "b"]
    assert (turned.values(1)[:2].tolist(), turned.static[0].tolist()) == ([1, 2], [1])
    assert panel.select(np.array([False, True])).y.tolist() == [7, 8]


def test_a_schema_goes_through_json_and_encodes_as_before():
    panel = read_panel(TABLE, COVARIATES)
    schema = Schema.from_json(json.loads(json.dumps(panel.schema.to_json())))
    assert schema == panel.schema
    later = TABLE.iloc[:2].assign(price=25.0, promo="yes")
    again = read_panel(later, COVARIATES, schema=schema)
    assert again.past[:, 0].tolist() == pytest.approx([10 / np.sqrt(20)] * 2)
    assert again.future.tolist() == [[0, 1, 0]] * 2


@pytest.mark.parametrize("ends", [(2, 1), (3, 0), (4, 2)])
def test_a_schema_of_the_first_rows_is_that_of_a_table_that_ends_there(ends):
    """Row 2 of `b` is a gap of the table."""
    stop = {"b": ends[0] if ends[0] < 3 else ends[0] - 1, "a": ends[1]}
    place = TABLE.groupby("unique_id").cumcount()
    cut = TABLE[place < TABLE.unique_id.map(stop)]
    opened, wanted = open_panel(TABLE, COVARIATES), read_panel(cut, COVARIATES)
    schema = opened.fit_schema(np.array(ends))
    kinds = ("past", "future", "static")
    assert all(getattr(schema, k) == getattr(wanted.schema, k) for k in kinds)
    found = opened.encode(schema, np.array(ends)).select(np.array(ends) > 0)
    assert np.array_equal(found.static, wanted.static)
    for n, there in enumerate(wanted.lengths):
        rows = slice(found.offsets[n], found.offsets[n] + there)
        for kind in ("past", "future"):
            read = getattr(wanted.select([n]), kind)
            assert np.array_equal(getattr(found, kind)[rows], read)


def test_what_comes_later_is_as_if_missing_whatever_it_is():
    opened = open_panel(TABLE, COVARIATES)
    ends = np.array([1, 0])  # a text, and a missing one, that the first row of `b` doesn't know
    panel = opened.encode(opened.fit_schema(ends), ends)
    assert panel.future.tolist() == [[1], [0], [0], [0], [0], [0]]
    with pytest.raises(DataError, match="'promo' is 'yes', which training did not have"):
        opened.encode(panel.schema, ends, ahead=1)


def test_a_constant_covariate_is_zero():
    panel = read_panel(TABLE.assign(price=0.1), TableColumns(past=("price",)))
    assert np.abs(panel.past).max() < 1e-6


def test_a_missing_number_has_an_indicator():
    panel = read_panel(TABLE.assign(price=[1, 3, None, 1, 3]), TableColumns(past=("price",)))
    assert panel.past.tolist() == [[-1, 0], [1, 0], [0, 1], [0, 1], [-1, 0], [1, 0]]


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_static_covariates_of_their_own_table(layout):
    side = pl.DataFrame({"unique_id": ["a", "b"], "kind": ["u", "v"], "area": [1.0, 3.0]})
    table = TABLE[["unique_id", "ds", "y"]]
    wide = table.pivot(index="ds", columns="unique_id", values="y").reset_index()
    panel = read_panel(
        table if layout == "long" else wide, TableColumns(layout=layout), static=side
    )
    assert dict(zip(panel.ids, panel.static.tolist(), strict=True)) == {
        "a": [1, 0, -1],
        "b": [0, 1, 1],
    }
    assert panel.schema.columns.static == ("kind", "area")


def test_what_is_known_of_the_future(tmp_path):
    panel = read_panel(TABLE, COVARIATES)
    expected = [[[0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0]]]
    for source in (AHEAD, pl.from_pandas(AHEAD), to_csv(AHEAD, tmp_path)):
        assert future_of(panel, source, 2).tolist() == expected
    assert future_of(panel, pd.concat([TABLE, AHEAD]), 1).shape == (2, 1, 3)
    assert future_of(read_panel(TABLE, TableColumns()), AHEAD, 2).shape == (2, 2, 0)


def test_new_tables_may_name_their_stamps_otherwise():
    schema = read_panel(TABLE, COVARIATES).schema
    columns = TableColumns(time="t", past=("price",), future=("promo",), static=("size",))
    panel = read_panel(TABLE.rename(columns={"ds": "t"}), columns, schema=schema)
    assert future_of(panel, AHEAD.rename(columns={"ds": "t"}), 2).shape == (2, 2, 3)


@pytest.mark.parametrize("time", ["ds", ""])
def test_what_all_series_of_a_wide_table_share(time):
    table = pd.DataFrame({"ds": [1, 2], "u": [1.0, 2], "v": [3.0, 4], "holiday": [0, 2]})
    table = table if time else table.drop(columns="ds")
    panel = read_panel(table, TableColumns(layout="wide", time=time, future=("holiday",)))
    assert panel.ids.tolist() == ["u", "v"]
    assert panel.future[:, 0].tolist() == [-1, 1, -1, 1]
    ahead = pd.DataFrame({"ds": [3, 4], "holiday": [1, 4]})
    assert future_of(panel, ahead, 2)[..., 0].tolist() == [[0, 3], [0, 3]]


@pytest.mark.data
def test_etth1(real_data):
    panel = read_panel(real_data / "etth1" / "ETTh1.csv", TableColumns(layout="wide", time="date"))
    assert panel.frequency.name == "h"
    assert panel.ids.tolist() == ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    assert panel.lengths.tolist() == [17_420] * 7
    assert panel.values(6)[0] == pytest.approx(30.531, abs=1e-4)


@pytest.mark.data
def test_m4_hourly(real_data):
    panel = read_panel(real_data / "m4_hourly" / "hourly_train.csv", TableColumns(layout="rows"))
    assert (len(panel), panel.frequency.name) == (414, "1")
    assert sorted(set(panel.lengths.tolist())) == [700, 960]
    assert (panel.ids[0], panel.values(0)[:3].tolist()) == ("H1", [605, 586, 586])
    assert not np.isnan(panel.y).any()
