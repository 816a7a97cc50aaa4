"""Small networks and batches that the tests of the forecasting models share."""

import torch

from forecast_helpers.toys import HORIZON, SEASON, config
from recurra.tasks.forecast.nets import Sizes, build
from recurra.tasks.forecast.windows.cutter import WindowBatch

AR = {"lags": "3,2", "distribution": "gaussian", "lookback": 10}
BARE = Sizes(series=3, past=0, future=0, static=0, season=SEASON)
FULL = Sizes(series=3, past=2, future=2, static=1, season=SEASON)


def net_of(model, sizes=FULL, **settings):
    """A network with larger weights than it starts with, so that all it reads matters."""
    net = build(config(model=model, dropout=0.0, **settings), sizes)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.6 * torch.randn_like(parameter))
    return net.eval()


def batch_for(net, sizes=FULL, rows=4, gaps=0.3):
    steps = net.lookback + HORIZON
    seen = torch.rand(steps, rows) >= gaps
    past = torch.randn(steps, rows, sizes.past)
    past[net.lookback :] = 0
    return WindowBatch(
        values=torch.randn(steps, rows) * seen,
        seen=seen,
        past=past,
        future=torch.randn(steps, rows, sizes.future),
        static=torch.randn(rows, sizes.static),
        series=torch.arange(rows) % sizes.series - (torch.arange(rows) == 3).long(),
        key=torch.arange(rows),
        age=torch.arange(steps).unsqueeze(1) + 7 * torch.arange(rows),
        location=torch.zeros(rows, dtype=torch.double),
        scale=torch.linspace(0.5, 50, rows, dtype=torch.double),
    )


def hidden(batch, lookback):
    """The batch as a forecast has it: nothing is known after the look-back."""
    made = batch._replace(values=batch.values.clone(), seen=batch.seen.clone())
    made.values[lookback:], made.seen[lookback:] = 0, False
    return made


def forecast(net, batch):
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        return net.forecast(batch).quantiles


def until(batch, steps):
    over_time = ("values", "seen", "past", "future", "age")
    return batch._replace(**{name: getattr(batch, name)[:steps] for name in over_time})
