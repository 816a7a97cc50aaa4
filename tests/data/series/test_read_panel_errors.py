"""What a table can have wrong, and the sentence that says so."""

import gzip
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recurra.data.series.covariates import future_of
from recurra.data.series.read import read_panel
from recurra.data.tables.columns import TableColumns
from recurra.errors import ConfigError, DataError

HOURS = pd.date_range("2024-01-01", periods=6, freq="h")
TABLE = pd.DataFrame(
    {
        "unique_id": ["a"] * 6 + ["b"] * 6,
        "ds": [*HOURS, *HOURS],
        "y": np.arange(12.0),
        "price": [1.0, 2.0] * 6,
        "promo": ["no", "yes"] * 6,
        "size": [1] * 6 + [2] * 6,
    }
)
COVARIATES = TableColumns(past=("price",), future=("promo",), static=("size",))
WIDE = TableColumns(layout="wide", time="day")
ROWS = TableColumns(layout="rows")


def changed(row, column, value):
    """The table with another value there."""
    table = TABLE.astype({column: object})
    table.loc[row, column] = value
    return table


def refuse(message, source, columns=None, **more):
    """The sentence has every part of the message, parted by `...`, in this order."""
    pattern = ".*".join(map(re.escape, message.split(" ... ")))
    with pytest.raises(DataError, match=pattern):
        read_panel(source, columns or TableColumns(), **more)


LATER = HOURS[3] + pd.Timedelta("7min")
FRAMES = {
    "no column 'y' (target) ... Did you mean 'Y'?": TABLE.rename(columns={"y": "Y"}),
    "no column 'unique_id' (id) ... layout = 'wide'": TABLE.drop(columns="unique_id"),
    "in the index: reset_index()": TABLE.set_index("unique_id"),
    "2 columns are called 'y'": pd.concat([TABLE, TABLE[["y"]]], axis=1),
    "has no rows": TABLE.iloc[:0],
    "LazyFrame is not a table ... collect()": pl.from_pandas(TABLE).lazy(),
    "dict is not a table; give a path": {"y": [1]},
    "row 2 (from 0) and row 12 (from 0) are both series 'a' at 2024-01-01 02:00:00;": pd.concat(
        [TABLE, TABLE.iloc[[2]]]
    ),
    "(3 such pairs in all)": pd.concat([TABLE, TABLE.iloc[:3]]),
    "row 9 (from 0) (series 'b') has the stamp 2024-01-01 03:07:00, ... 'h', as inferred": changed(
        9, "ds", LATER
    ),
    "can't be inferred ... Series 'a' begins with 2024-01-01, 2024-01-01 00:01:00": TABLE.assign(
        ds=[HOURS[0] + pd.Timedelta(minutes=n * n) for n in range(12)]
    ),
    "row 3 (from 0) (series 'a') has the stamp 2201-01-01, ... steps after the one before": changed(
        3, "ds", pd.Timestamp("2201-01-01")
    ),
    "row 4 (from 0): column 'ds' has 'soon', which is of the kind str": changed(4, "ds", "soon"),
    "row 4 (from 0): column 'ds' has 'soon', which can't be read": TABLE.assign(
        ds=TABLE.ds.astype(str).where(TABLE.index != 4, "soon")
    ),
    "column 'ds' has 0.5, which is not a whole number": TABLE.assign(ds=0.5),
    "numbers like 20240101, which look like dates": TABLE.assign(ds=20240101),
    "numbers like 202311, which look like dates": TABLE.assign(ds=[202311, 202312, 202401] * 4),
    "dates like '01/02/2024', in which day and month": TABLE.assign(ds="01/02/2024"),
    "'ds' has time zones (Europe/Berlin)": TABLE.assign(
        ds=TABLE.ds.dt.tz_localize("Europe/Berlin")
    ),
    "'ds' has time zones (several)": TABLE.assign(
        ds=["2024-01-01T00:00+01:00", "2024-01-01T00:00+02:00"] * 6
    ),
    ".dt.to_timestamp()": TABLE.assign(ds=TABLE.ds.dt.to_period("h")),
    "row 5 (from 0) has no 'ds'": changed(5, "ds", None),
    "row 5 (from 0) has no 'unique_id'": changed(5, "unique_id", None),
    "row 5 (from 0): column 'unique_id' has 7, which is of the kind int": changed(
        5, "unique_id", 7
    ),
    "column 'y' has 'n.a.', where a number is needed": TABLE.assign(y="n.a."),
    "column 'y' holds dates": TABLE.assign(y=HOURS[0]),
    "row 8 (from 0) (series 'b') is -inf at 2024-01-01 02:00:00": changed(8, "y", -np.inf),
}


@pytest.mark.parametrize("message", FRAMES)
def test_frames(message):
    refuse(message, FRAMES[message])


HEAD = "unique_id,ds,y\n"
FILES = {
    "a.csv: no such file": None,
    "Its first row looks like data: add a header": "0.5,1.5,2\n0.6,1.5,2\n",
    "a.csv: is empty; give a table with a header and rows": "",
    "has no rows": HEAD,
    "row 3: Expected 3 columns, got 2": HEAD + "a,2024-01-01,1\na,2024-01-02\n",
    "row 2 and row 4 are both series 'a'": HEAD
    + "a,2024-01-01,1\na,2024-01-02,1\na,2024-01-01,2\n",
    "row 3: column 'ds' has '2024-02-30'": HEAD + "a,2024-02-28,1\na,2024-02-30,1\n",
    "row 3: column 'y' has 'n.a.'": HEAD + "a,2024-01-01,1\na,2024-01-02,n.a.\n",
    "row 2: column 'y' has '1,500', ... with a point": HEAD + 'a,2024-01-01,"1,500"\n',
    "row 3 (series 'a') is inf at 2024-01-02": HEAD + "a,2024-01-01,1\na,2024-01-02,inf\n",
    "'ds' has time zones (UTC+02:00)": HEAD + "a,2024-01-01T00:00:00+02:00,1\n",
    "row 3 has no 'unique_id'": HEAD + "a,2024-01-01,1\n,2024-01-02,1\n",
}


@pytest.mark.parametrize("message", FILES)
def test_files(tmp_path, message):
    path = tmp_path / "a.csv"
    if FILES[message] is not None:
        path.write_text(FILES[message])
    refuse(message, path)


GAPS = "\n" + HEAD + '\n"a\nb",2024-01-01,1\r\n\r\n\na,2024-01-01,1\n'  # the last row: line 8
GAPPED = {
    "row 9: column 'y' has 'x'": "a,2024-01-02,x\n",
    "row 8 and row 10 are both series 'a'": "\na,2024-01-01,2\n",
    "row 9 (series 'c') is inf": "c,2024-01-01,inf\n",
    "row 10 has no 'unique_id'": "\n,2024-01-02,1\n",
    "row 10: Expected 3 columns, got 2": "\na,2024-01-02\n",
}


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("message", GAPPED)
def test_rows_are_counted_as_editors_count_lines(tmp_path, message, name):
    data = (GAPS + GAPPED[message]).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    refuse(message, tmp_path / name)


def test_files_that_are_no_tables(tmp_path):
    for name in ("a.parquet", "a.csv.gz"):
        (tmp_path / name).write_bytes(b"no such thing")
        refuse(f"{name}: cannot be read", tmp_path / name)
    refuse("is a folder", tmp_path)
    refuse("a.xlsx: .xlsx is none of .csv", tmp_path / "a.xlsx")
    (tmp_path / "a.csv").write_bytes(HEAD.encode() + "ä,2024-01-01,1\n".encode("latin-1"))
    refuse("invalid UTF8 data); save it as UTF-8", tmp_path / "a.csv")


FREQUENCIES = {
    "D": "row 1 (from 0) (series 'a') has the stamp ... (one of 10) ... stamps look like 'h'",
    "min": "freq='min' contradicts the stamps ... all 60 such steps ... add rows ... like 'h'",
    "MS": "not on the grid of freq='MS'",
    "1": "freq='1' is one of whole numbers, and the stamps are dates",
}


@pytest.mark.parametrize("freq", FREQUENCIES)
def test_a_frequency_that_contradicts_the_stamps(freq):
    refuse(FREQUENCIES[freq], TABLE, TableColumns(freq=freq))


def test_dates_that_are_whole_numbers():
    refuse(
        "freq='h' is one of dates ... give freq=1",
        TABLE.assign(ds=[*range(12)]),
        TableColumns(freq="h"),
    )


WIDES = {
    "no column 'day' (time) ... time = ''": "date,u\n2024-01-01,1\n",
    "has no column beside day": "day\n2024-01-01\n",
    "row 2: column 'v' has 'x', where a number": "day,u,v\n2024-01-01,1,x\n",
    "row 3 (series 'v') is inf": "day,u,v\n2024-01-01,1,1\n2024-01-02,1,inf\n",
    "row 2 (series 'u') is inf at 2024-01-02": "day,u\n2024-01-02,inf\n2024-01-01,1\n",
    "row 2 and row 3 are both series 'u'": "day,u\n2024-01-01,1\n2024-01-01,1\n",
}
LISTS = {
    "row 2, column 3 has 'x', where a number": "a,1,2\nb,1,x\n",
    "row 3 (series 'b') is inf at 2": "id,v1,v2\na,1,2\nb,1,inf\n",
    "row 1 and row 2 are both series 'a'": "a,1\na,2\n",
    "row 2 has no id": "a,1\n,2\n",
    "row 5 (series 'b') is inf at 1": "\nid,v\na,1\n\nb,inf\n",
    "row 2 and row 4 are both series 'b'": "a,1\nb,1\n\nb,2\n",
    "has ids and no values": "a\nb\n",
    "has no rows": "",
}


@pytest.mark.parametrize(
    ("message", "text", "columns"),
    [*((m, t, WIDE) for m, t in WIDES.items()), *((m, t, ROWS) for m, t in LISTS.items())],
)
def test_other_layouts(tmp_path, message, text, columns):
    (tmp_path / "a.csv").write_text(text)
    refuse(message, tmp_path / "a.csv", columns)


ENCODED = {
    "no column 'price' (past)": TABLE.drop(columns="price"),
    "row 3 (from 0): covariate 'price' is inf": changed(3, "price", np.inf),
    "row 3 (from 0): covariate 'promo' is 'new' ... it had no, yes": changed(3, "promo", "new"),
    "row 3 (from 0): covariate 'price' is missing, which it never was": changed(3, "price", None),
    "row 3 (from 0): covariate 'promo' is missing, which it never was": changed(3, "promo", None),
    "covariate 'promo' is numbers, and was text": TABLE.assign(promo=1),
    "column 'price' has 'dear', where a number": TABLE.assign(price="dear"),
    "row 3 (from 0) (series 'a'): static covariate 'size' changes": changed(3, "size", 9),
    "freq='h' contradicts the stamps": TABLE.assign(ds=[*HOURS[0] + 24 * (HOURS - HOURS[0])] * 2),
}


@pytest.mark.parametrize("message", ENCODED)
def test_new_tables_that_differ_from_training(message):
    refuse(message, ENCODED[message], COVARIATES, schema=read_panel(TABLE, COVARIATES).schema)


def test_other_columns_than_in_training():
    schema = read_panel(TABLE, COVARIATES).schema
    refuse("past covariates are none, and were price", TABLE, TableColumns(), schema=schema)
    other = TableColumns(past=("price",), future=("promo",), static=("size",), freq="D")
    refuse("freq='D' is given, and training had 'h'", TABLE, other, schema=schema)


def test_too_many_texts():
    table = pd.DataFrame({"unique_id": "a", "ds": range(1001), "y": 1.0})
    table["note"] = table.ds.astype(str)
    refuse(
        "'note' has 1,001 different texts, and at most 1,000", table, TableColumns(past=("note",))
    )


SIDES = {
    "series 'b' of the DataFrame is not in it": pd.DataFrame({"unique_id": ["a"], "k": [1]}),
    "row 0 (from 0) and row 2": pd.DataFrame({"unique_id": ["a", "b", "a"], "k": [1, 2, 3]}),
    "no column 'unique_id' (id)": pd.DataFrame({"k": [1]}),
}


@pytest.mark.parametrize("message", SIDES)
def test_tables_of_static_covariates(message):
    refuse(message, TABLE, static=SIDES[message])


def test_static_covariates_without_a_place():
    table = pd.DataFrame({"day": HOURS, "u": 1.0})
    refuse(
        "no place for static covariates (k)",
        table,
        TableColumns(layout="wide", time="day", static=("k",)),
    )


AHEAD = TABLE.assign(ds=TABLE.ds + pd.Timedelta("6h"))
FUTURES = {
    "series 'a' has no row for 2024-01-01 07:00:00 (3 steps of 2 series in all)": AHEAD.drop(
        index=[1, 2, 8]
    ),
    "no row for 2024-01-01 06:00:00 (8 steps of 2 series in all), nor has any other": TABLE,
    "row 0 (from 0) and row 12 (from 0) are of one series and the stamp": pd.concat([AHEAD, AHEAD]),
    "no column 'promo' (future)": AHEAD.drop(columns="promo"),
    "row 1 (from 0): covariate 'promo' is 'new'": AHEAD.assign(promo=["no", "new"] * 6),
    "the panel's stamps are dates, and these whole numbers": AHEAD.assign(ds=1),
}


@pytest.mark.parametrize("message", FUTURES)
def test_covariates_that_the_future_lacks(message):
    pattern = re.escape(message)
    with pytest.raises(DataError, match=pattern):
        future_of(read_panel(TABLE, COVARIATES), FUTURES[message], 4)


@pytest.mark.parametrize("ends", [[1], [7, 1], [-1, 1]])
def test_ends_that_are_none(ends):
    with pytest.raises(DataError, match="one a series, from 0 to its length"):
        read_panel(TABLE, TableColumns()).until(np.array(ends))


COLUMNS = {
    "column 'y' is named for two purposes": {"time": "y"},
    "past='p' is one text": {"past": "p"},
    "layout='tall' is none of long, wide, rows": {"layout": "tall"},
    "freq='hourly' is not a frequency": {"freq": "hourly"},
    "freq='h' needs dates, and layout 'rows' has none": {"freq": "h", "layout": "rows"},
    "past and future must be empty": {"past": ("p",), "layout": "rows"},
    "needs a time column": {"time": ""},
}


@pytest.mark.parametrize("message", COLUMNS)
def test_columns_that_cannot_be(message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        TableColumns(**COLUMNS[message])
