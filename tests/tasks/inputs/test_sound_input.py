import numpy as np
import pytest

from recurra.config.input_config import InputConfig
from recurra.data.audio.sound import Sound
from recurra.tasks.inputs.sound_input import SoundInput

RATE = 8000
STRENGTHS = ("speed", "pitch", "room", "microphone", "noise")


def perturbation_of(**strengths):
    return SoundInput.of(InputConfig(rate=RATE, **strengths), []).perturbation


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_strength_says_how_often_and_how_much(name):
    usual, strong = perturbation_of(), perturbation_of(**{name: 2})
    chance = f"{name}_probability"
    assert getattr(strong, chance) == min(1, 2 * getattr(usual, chance)) > 0
    if name in ("speed", "pitch", "microphone"):
        assert getattr(strong, name) == 2 * getattr(usual, name) > 0
    assert getattr(perturbation_of(**{name: 0}), chance) == 0
    others = [f"{other}_probability" for other in STRENGTHS if other != name]
    assert [getattr(strong, each) for each in others] == [getattr(usual, each) for each in others]


def test_the_greatest_strengths_are_allowed():
    generator = np.random.default_rng(0)
    how = SoundInput.of(InputConfig(rate=RATE, **dict.fromkeys(STRENGTHS, 4)), [])
    content = Sound(generator.normal(0, 0.1, RATE).astype(np.float32), RATE)
    assert np.isfinite(how.distorted(content, generator).samples).all()


def test_another_microphone_alone_changes_what_is_heard():
    content = Sound(np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32), RATE)
    off = dict.fromkeys(STRENGTHS, 0)
    changed = []
    for microphone in (0, 2):
        how = SoundInput.of(InputConfig(rate=RATE, **{**off, "microphone": microphone}), [])
        heard = how.features(how.distorted(content, np.random.default_rng(1)))
        changed.append(np.abs(heard - how.features(content)).std())
    assert changed[0] < 1e-3 < 0.05 < changed[1]
