"""Tables as people have them: columns are found, and cells are parted and written in many ways."""

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recurra.data.series.covariates import future_of
from recurra.data.series.read import read_panel
from recurra.data.tables.columns import TableColumns
from recurra.data.tables.number_texts import parse_numbers
from recurra.errors import DataError

DAYS = pd.date_range("2024-01-25", periods=20)
VALUES = np.arange(20) + 1000.5
ONE = pd.DataFrame({"date": DAYS, "sales": VALUES})
TWO = pd.concat([ONE.assign(shop="b"), ONE.assign(shop="a", sales=VALUES + 50)])
COLUMNS = TableColumns()


@pytest.mark.parametrize(
    "source",
    [
        ONE,
        ONE.sample(frac=1, random_state=0),
        pl.from_pandas(ONE),
        ONE.assign(date=ONE.date.astype(str)),
        ONE.set_index("date"),
        ONE.set_index("date").sales,
        ONE.set_index("date").sales.to_period("D"),
        ONE.assign(weather="dry"),
    ],
)
def test_a_table_without_ids_is_one_series(source):
    panel = read_panel(source, COLUMNS)
    assert panel.ids.tolist() == ["sales"]
    assert panel.frequency.name == "D"
    np.testing.assert_array_equal(panel.values(0), VALUES)
    assert panel.schema.columns.time == "date"
    assert panel.schema.columns.target == "sales"


@pytest.mark.parametrize(
    ("table", "ids"),
    [
        (TWO, ["b", "a"]),
        (TWO.assign(shop=TWO.shop.astype("category")), ["b", "a"]),
        (TWO.assign(shop=[7] * 20 + [3] * 20).rename(columns={"shop": "shop_id"}), [7, 3]),
    ],
)
def test_the_column_of_ids_is_the_one_that_tells_rows_apart(table, ids):
    panel = read_panel(table, COLUMNS)
    assert panel.ids.tolist() == ids
    np.testing.assert_array_equal(panel.values(1), VALUES + 50)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TWO.assign(town=TWO.shop), "no column 'unique_id' .id"),
        (ONE.assign(costs=1.0), "no column 'y' .target.; it has date, sales, costs. Name the"),
        (ONE.assign(delivery=DAYS), "no column 'unique_id'"),
        (TWO.drop(columns="shop"), "no column 'unique_id'"),
        (TWO.drop(columns="shop").assign(size=[3] * 20 + [7] * 20), "no column 'unique_id'"),
    ],
)
def test_doubt_is_an_error(table, message):
    with pytest.raises(DataError, match=message):
        read_panel(table, COLUMNS)


def test_a_name_that_was_given_is_not_guessed():
    with pytest.raises(DataError, match=r"no column 'day' .time"):
        read_panel(ONE, TableColumns(time="day"))


def test_later_tables_have_the_names_of_training():
    trained = read_panel(TWO, COLUMNS)
    later = TWO.assign(town=TWO.shop, costs=1.0, delivery=DAYS[0])
    assert read_panel(later, COLUMNS, schema=trained.schema).ids.tolist() == ["b", "a"]


def test_future_covariates_of_one_series_need_no_id():
    columns = TableColumns(future=("price",))
    panel = read_panel(ONE.assign(price=np.arange(20.0)), columns)
    ahead = pd.DataFrame({"date": DAYS + pd.Timedelta("20D"), "price": np.arange(20.0, 40)})
    features = future_of(panel, ahead, 3)[0, :, 0]
    np.testing.assert_allclose(np.diff(features), np.diff(panel.future[:3, 0]), rtol=1e-5)


def written(path, mark, date, decimal, groups):
    """A file of two series with these marks; a cell with the mark in it stands in quotes."""
    lines = [mark.join(("Datum", "Shop", "Umsatz"))]
    for shop in ("007", "008"):
        for day, value in zip(DAYS, VALUES, strict=True):
            text = f"{value:,.1f}".replace(",", "#").replace(".", decimal).replace("#", groups)
            cell = f'"{text}"' if mark in text else text
            lines.append(mark.join((day.strftime(date), shop, cell)))
    data = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("date", "decimal", "groups"),
    [("%Y-%m-%d", ".", ","), ("%d.%m.%Y", ",", "."), ("%d/%m/%Y", ",", "\u202f")],
)
def test_files_with_other_marks(tmp_path, name, mark, date, decimal, groups):
    panel = read_panel(written(tmp_path / name, mark, date, decimal, groups), COLUMNS)
    assert panel.ids.tolist() == ["007", "008"]
    np.testing.assert_array_equal(panel.values(0), VALUES)
    assert panel.starts[0] == DAYS[0].to_datetime64()


def test_covariates_with_decimal_commas_are_numbers(tmp_path):
    path = tmp_path / "a.csv"
    rows = "".join(f"{day:%Y-%m-%d};{n};{n},5\n" for n, day in enumerate(DAYS))
    path.write_text("date;sales;price\n" + rows)
    panel = read_panel(path, TableColumns(past=("price",)))
    assert panel.schema.past[0].categories is None
    assert panel.schema.past[0].mean == 10.0


def test_numbers_of_either_mark():
    assert parse_numbers(["1.234,5", "-7", "12,25"]).tolist() == [1234.5, -7, 12.25]
    assert parse_numbers(["1,234.5", "+7", "1,234,567"]).tolist() == [1234.5, 7, 1234567]
    assert parse_numbers(["1 234", "999"]).tolist() == [1234, 999]
    for texts in (["1,234"], ["1,234", "5"], ["1,5", "1.5,x"], ["12,34.5"], ["a"], ["1,2,3"], [""]):
        assert parse_numbers(texts) is None, texts
