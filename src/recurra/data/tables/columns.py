"""The roles of a table's columns, and its layout."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

from recurra.data.series.frequency import parse_frequency
from recurra.errors import ConfigError

__all__ = ["TableColumns"]

TableLayout = Literal["long", "wide", "rows"]


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """The names of a table's columns by role; ConfigError where they contradict one another.

    Attributes:
        id, time, target: the series, the stamp and the value, in layout "long".
        past: covariates known up to the last observation.
        future: covariates known for the horizon as well.
        static: covariates that don't change within a series.
        layout: "long", one row for each series and stamp; "wide", a time column (none where `time`
            is "": rows are counted from 1) and one column a series, apart from covariates, which
            all series share; "rows", one row a series: its id, then its values, at stamps 1, 2, ...
        freq: the frequency; "": inferred.
    """

    id: str = "unique_id"
    time: str = "ds"
    target: str = "y"
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    layout: TableLayout = "long"
    freq: str = ""

    def __post_init__(self) -> None:
        for name in ("past", "future", "static"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ConfigError(
                    f"{name}={value!r} is one text; give a tuple of names: {name}=({value!r},)."
                )
            object.__setattr__(self, name, tuple(value))
        object.__setattr__(self, "freq", str(self.freq))
        self._check_layout()
        self._check_names()
        if self.freq and not parse_frequency(self.freq).whole and self.layout == "rows":
            raise ConfigError(
                f"freq={self.freq!r} needs dates, and layout 'rows' has none: its stamps are 1, 2, "
                "...; leave freq out and give the season instead, or use layout 'long'."
            )

    @property
    def roles(self) -> dict[str, str]:
        """The columns that a table of this layout must have, each with its role."""
        own = {"id": self.id, "time": self.time, "target": self.target}
        own = {k: v for k, v in own.items() if self.layout == "long" or (k == "time" and v)}
        roles = {column: role for role, column in own.items()}
        roles |= dict.fromkeys(self.past, "past") | dict.fromkeys(self.future, "future")
        return roles | dict.fromkeys(self.static, "static")

    def _check_layout(self) -> None:
        layouts = get_args(TableLayout)
        if self.layout not in layouts:
            raise ConfigError(f"layout={self.layout!r} is none of {', '.join(layouts)}.")
        if self.layout == "rows" and (self.past or self.future):
            raise ConfigError(
                "layout 'rows' holds values without covariates, so past and future must be empty; "
                "give covariates in layout 'long'."
            )
        if self.layout == "long" and not self.time:
            raise ConfigError(
                "layout 'long' needs a time column; only 'wide' (time='') and 'rows' count rows "
                "instead."
            )

    def _check_names(self) -> None:
        own = [self.id, self.time, self.target] if self.layout == "long" else [self.time]
        names = Counter([*own, *self.past, *self.future, *self.static])
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ConfigError(
                f"column {twice[0]!r} is named for two purposes; id, time, target, past, future "
                "and static each take columns of their own."
            )
