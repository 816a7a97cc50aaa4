"""Systems identified and simulated, beside linear ones: python systems.py [SEED [saturation ...]].

Of each 6,000 steps are made to identify it from, and 2,000 that are simulated from the input alone,
by a seed that no setting was chosen on (settings saw seed 0). A figure is the root mean squared
error as a share of the output's deviation; the noise of the outputs is 0.02 of it.
"""

import sys

import numpy as np
from scipy.signal import butter, cont2discrete, lfilter

import recurra

TRAINED, SIMULATED = 6000, 2000
TAPS, OWN, GIVEN = 200, 8, 40
"""Steps of the input that FIR looks back on; of the output and of the input that ARX does."""


def excitation(generator):
    """Levels that are held for 3 to 39 steps, with a little noise."""
    held = generator.integers(3, 40, TRAINED + SIMULATED)
    levels = np.repeat(generator.uniform(-1, 1, len(held)), held)[: len(held)]
    return levels + 0.05 * generator.normal(size=len(levels))


def linear(u):
    """Second order, damped by 0.15, of a period of 42 steps."""
    numerator, denominator = cont2discrete(([0.15**2], [1, 2 * 0.15**2, 0.15**2]), 1.0)[:2]
    return lfilter(numerator.ravel(), denominator, u)


def saturation(u):
    """A low pass, a saturation, and another low pass (Wiener and Hammerstein)."""
    inner = lfilter(*butter(2, 0.1), 3 * u)
    return lfilter(*butter(1, 0.08), np.tanh(inner) + 0.2 * np.maximum(inner, 0))


def hysteresis(u, rate=0.2):
    """A spring with hysteresis (Bouc and Wen), five pieces of each step."""
    place = speed = inner = 0.0
    found = []
    for force in u:
        for _ in range(5):
            speed += rate * (0.3 * force - 0.15 * speed - 0.04 * place - 0.12 * inner)
            turned = speed - 0.7 * abs(speed) * inner - 0.4 * speed * abs(inner)
            place, inner = place + rate * speed, inner + rate * turned
        found.append(place)
    return np.array(found)


def dead_time(u):
    """A square, late by 25 steps, and a low pass."""
    late = np.concatenate([np.zeros(25), u[:-25]])
    return lfilter([0.1], [1, -0.9], late + 0.3 * late**2)


def drift(u):
    """A low pass whose gain and mean follow what a slow one, of 250 steps, makes of the input."""
    slow = lfilter([0.004], [1, -0.996], u**2 + u)
    return lfilter(*butter(2, 0.15), u) * (1 + 1.5 * slow) + slow


def tanks(u):
    """Two tanks, the upper of which runs over."""
    upper = lower = 0.3
    found = []
    for flow in np.maximum(0.25 + 0.2 * u, 0):
        upper = max(0.0, upper + 0.2 * (flow - 0.4 * upper**0.5))
        over, upper = max(0.0, upper - 1), min(upper, 1.0)
        change = 0.4 * upper**0.5 - 0.42 * lower**0.5 + over
        lower = max(0.0, lower + 0.1 * change)
        found.append(min(lower, 1.2))
    return np.array(found)


SYSTEMS = {
    each.__name__: each for each in (linear, saturation, hysteresis, dead_time, drift, tanks)
}


def lags(series, count, first=0):
    """The series (T,) late by first to count - 1 steps, zeros before it: (T, count - first)."""
    late = [np.concatenate([np.zeros(k), series])[: len(series)] for k in range(first, count)]
    return np.stack(late, axis=1)


def fir(u, y):
    """What the best linear filter of the input simulates."""
    rows = np.column_stack([lags(u, TAPS), np.ones(len(u))])
    return rows @ np.linalg.lstsq(rows[: len(y)], y, rcond=None)[0]


def arx(u, y):
    """What a linear equation of the output's own past and the input simulates."""
    past = u[: len(y)]
    rows = np.column_stack([lags(y, OWN + 1, 1), lags(past, GIVEN), np.ones(len(y))])
    own, given, mean = np.split(
        np.linalg.lstsq(rows[OWN:], y[OWN:], rcond=None)[0], [OWN, OWN + GIVEN]
    )
    return lfilter(given, [1, *-own], u) + mean / (1 - own.sum())


def network(u, y):
    """What a regressor simulates, all settings by default but 600 steps of training."""
    model = recurra.Regressor(max_steps=600).fit(u[: len(y)], y)
    return model.predict(u)


def errors(system, seed):
    """The errors of the network, of FIR and of ARX on what follows the part for training."""
    generator = np.random.default_rng(seed)
    u = excitation(generator)
    y = system(u)
    y += 0.02 * y.std() * generator.normal(size=len(y))
    found = [simulate(u, y[:TRAINED])[TRAINED:] for simulate in (network, fir, arx)]
    actual = y[TRAINED:]
    return [np.sqrt(np.mean((each - actual) ** 2)) / actual.std() for each in found]


def main(seed="1", *wanted):
    """Print a row for each system."""
    print("| system | this | FIR | ARX |\n|---|---|---|---|")
    for name in wanted or SYSTEMS:
        cells = [f"{error:.3f}" for error in errors(SYSTEMS[name], int(seed))]
        print(f"| {' | '.join([name.replace('_', ' '), *cells])} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
