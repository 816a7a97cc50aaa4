"""The CTC decoders of flashlight-text, with the scorers and lexicons of this package.

Definitions that differ from `CtcPrefixBeam`:

- The beam counts a prefix that ends in a blank and the same prefix that ends in its token as two,
  so that a beam of b here keeps between b / 2 and b prefixes. Emissions are single precision.
- There is no cut by probability; `tokens` is the number of the likeliest tokens of a frame that may
  extend or prolong a prefix.
- With a lexicon, spaces at the beginning, at the end, and several in a row are allowed and merged
  with the text without them; ours are ruled out. So scores are equal where those have no mass, and
  higher otherwise. A lexicon's `before` and `after` aren't known here.
- `acoustic` is the score less what scorer and bonus add: flashlight keeps no sum of its own.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from recurra.decoding.confidence import token_confidences
from recurra.decoding.ctc import BLANK, Matrix, align, checked
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.lexicon import Lexicon
from recurra.decoding.scoring import Scorer, combined
from recurra.errors import DataError, MissingExtra

__all__ = ["FlashlightBeam", "flashlight_beam"]

_NEVER = -1e9
"""Stands for -inf, with which flashlight's sums would become NaN."""


def flashlight_beam(
    log_probs: ArrayLike,
    beam: int = 16,
    *,
    scorer: Scorer | None = None,
    alpha: float = 1.0,
    beta: float = 0.0,
    lexicon: Lexicon | None = None,
    tokens: int | None = None,
    margin: float = 20.0,
    n: int = 1,
) -> list[Hypothesis]:
    """The n best hypotheses of a whole sequence (T, K), by flashlight-text.

    Arguments are those of `CtcPrefixBeam`; `tokens` is the number of tokens considered in a frame,
    None for all.

    Raises:
        MissingExtra: flashlight-text is not installed.
        DataError: what `checked` refuses.
    """
    frames = checked(log_probs)
    if not len(frames):
        frames = np.log(np.eye(1, max(frames.shape[1], 1)).clip(1e-300))  # one certain blank
    given, space = _emissions(frames, lexicon)
    model = _language_model(scorer if alpha else None, alpha, beta, space)
    decoder = _decoder(model, lexicon, space, beam, tokens or given.shape[1], margin)
    found = decoder.decode(given.ctypes.data, *given.shape)
    readings = [(_reading(result.tokens, space), float(result.score)) for result in found]
    possible = [each for each in readings if each[1] > _NEVER / 2]
    return [
        _hypothesis(frames, read, score, scorer, alpha, beta, lexicon)
        for read, score in possible[:n]
    ]


class FlashlightBeam:
    """`flashlight_beam` with the methods of `CtcPrefixBeam`: it searches all frames at the end."""

    def __init__(self, beam: int = 16, **settings: Any) -> None:
        self._beam, self._settings = beam, settings
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence; all frames so far are forgotten."""
        self._chunks: list[Matrix] = []

    def feed(self, log_probs: ArrayLike) -> None:
        """Take the next frames (T, K)."""
        self._chunks.append(checked(log_probs))

    def best(self, times: bool = False) -> Hypothesis:
        """The best hypothesis of the frames so far, taken as the whole."""
        return self.finish()[0]

    def finish(self, n: int = 1, times: bool = True) -> list[Hypothesis]:
        """The n best hypotheses, at least one; DataError where a lexicon leaves none."""
        frames = np.concatenate(self._chunks) if self._chunks else np.zeros((0, 1))
        found = flashlight_beam(frames, self._beam, n=n, **self._settings)
        if not found:
            raise DataError(
                f"No text of the lexicon has a probability in {len(frames)} frames; take a larger "
                "beam."
            )
        return found


def _emissions(frames: Matrix, lexicon: Lexicon | None) -> tuple[Any, int]:
    """Frames as a decoder wants them, and the token between words (the blank without a lexicon).

    Flashlight lets only a space prolong a finished word. So words are spelled with one, a last
    frame that is certainly a space closes the last word, and a lexicon without spaces gets a token
    for it that comes nowhere else.
    """
    if lexicon is None:
        return np.ascontiguousarray(np.maximum(frames, _NEVER), np.float32), BLANK
    space = lexicon.space
    if space is None:
        space = frames.shape[1]
        frames = np.hstack([frames, np.full((len(frames), 1), -np.inf)])
    frames = np.vstack([frames, np.where(np.arange(frames.shape[1]) == space, 0.0, -np.inf)])
    return np.ascontiguousarray(np.maximum(frames, _NEVER), np.float32), space


def _reading(path: list[int], space: int) -> tuple[int, ...]:
    """A path's tokens, without spaces at the beginning, at the end or in a row."""
    read: list[int] = []
    for token, before in zip(path, [BLANK, *path], strict=False):
        again = token == space and (not read or read[-1] == space)
        if token != BLANK and token != before and not again:
            read.append(token)
    return tuple(read[:-1] if read and read[-1] == space else read)


def _hypothesis(
    frames: Matrix,
    tokens: tuple[int, ...],
    score: float,
    scorer: Scorer | None,
    alpha: float,
    beta: float,
    lexicon: Lexicon | None,
) -> Hypothesis:
    language = _whole(scorer, tokens) if scorer and alpha else 0.0
    acoustic = score - alpha * language - beta * len(tokens)
    spans = align(frames, tokens) or ()
    judge = combined((scorer, alpha), (lexicon, 1.0))
    confidences = token_confidences(frames, tokens, spans, scorer=judge, beta=beta) if spans else ()
    return Hypothesis(tokens, score, acoustic, language, spans, confidences)


def _whole(scorer: Scorer, tokens: tuple[int, ...]) -> float:
    state, total = scorer.start(), 0.0
    for token in tokens:
        value, state = scorer.score(state, token)
        total += value
    return total + scorer.finish(state)


def _flashlight() -> Any:
    try:
        from flashlight.lib.text import decoder  # type: ignore[import-untyped]
    except ImportError as error:
        purpose = "Decoding by flashlight"
        raise MissingExtra("flashlight-text", "flashlight", purpose) from error
    return decoder


def _decoder(
    model: Any, lexicon: Lexicon | None, space: int, beam: int, tokens: int, margin: float
) -> Any:
    """Weights are in the language model already, so flashlight's own are 1 and 0."""
    lib = _flashlight()
    options = {
        "beam_size": beam,
        "beam_size_token": tokens,
        "beam_threshold": min(margin, -_NEVER),
        "lm_weight": 1.0,
        "sil_score": 0.0,
        "log_add": True,
        "criterion_type": lib.CriterionType.CTC,
    }
    if lexicon is None:
        free = lib.LexiconFreeDecoderOptions(**options)
        return lib.LexiconFreeDecoder(free, model, BLANK, BLANK, [])
    words = lib.LexiconDecoderOptions(word_score=0.0, unk_score=-np.inf, **options)
    return lib.LexiconDecoder(words, _trie(lib, lexicon, space), model, space, BLANK, -1, [], True)


def _trie(lib: Any, lexicon: Lexicon, space: int) -> Any:
    trie = lib.Trie(max(space, *map(max, lexicon.spellings)) + 1, BLANK)
    for number, spelling in enumerate(lexicon.spellings):
        trie.insert([*spelling, space], number, 0.0)
    trie.smear(lib.SmearingMode.MAX)
    return trie


def _language_model(scorer: Scorer | None, alpha: float, beta: float, space: int) -> Any:
    """A scorer as flashlight's LM, weighted. A space counts once a word follows it."""
    lib = _flashlight()

    class Fused(lib.LM):  # type: ignore[misc,name-defined]  # the package has no types
        def __init__(self) -> None:
            super().__init__()
            self.known: dict[Any, tuple[float, Any, bool]] = {}

        def start(self, start_with_nothing: bool) -> Any:
            first = lib.LMState()
            self.known[first] = (0.0, scorer.start() if scorer else None, False)
            return first

        def score(self, state: Any, token: int) -> tuple[Any, float]:
            after = state.child(token)
            if after not in self.known:
                self.known[after] = self._after(self.known[state], token)
            return after, self.known[after][0]

        def _after(self, before: tuple[float, Any, bool], token: int) -> tuple[float, Any, bool]:
            _, inner, pending = before
            if token == space:
                return 0.0, inner, True
            owed = [space, token] if pending else [token]
            total = beta * len(owed)
            if scorer:
                for each in owed:
                    value, inner = scorer.score(inner, each)
                    total += alpha * value
            return max(total, _NEVER), inner, False

        def finish(self, state: Any) -> tuple[Any, float]:
            _, inner, _ = self.known[state]
            return state, max(alpha * scorer.finish(inner), _NEVER) if scorer else 0.0

    return Fused()
