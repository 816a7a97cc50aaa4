"""Every path of a small lattice, by enumeration: what CTC means."""

import itertools

import numpy as np


def lattice(frames, tokens, seed=0, sharpness=1.5):
    """Log-probabilities (frames, tokens), drawn."""
    logits = np.random.default_rng(seed).normal(size=(frames, tokens)) * sharpness
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def reading(path):
    return tuple(token for token, _ in itertools.groupby(path) if token)


def paths(log_probs):
    """Every path with its log-probability."""
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        yield path, sum(float(row[token]) for row, token in zip(log_probs, path, strict=True))


def likelihoods(log_probs):
    """The log-probability of everything that can be read, by summing paths."""
    sums = {}
    for path, score in paths(log_probs):
        read = reading(path)
        sums[read] = np.logaddexp(sums.get(read, -np.inf), score)
    return sums


def spans_of(path):
    """The first and last frame of each token of a path."""
    places = itertools.groupby(range(len(path)), key=lambda t: path[t])
    runs = [(token, list(frames)) for token, frames in places]
    return tuple((frames[0], frames[-1]) for token, frames in runs if token)


def best_spans(log_probs, tokens):
    """The spans of every path that reads as the tokens and has the highest score."""
    fitting = [(score, path) for path, score in paths(log_probs) if reading(path) == tokens]
    top = max((score for score, _ in fitting), default=-np.inf)
    return {spans_of(path) for score, path in fitting if score >= top - 1e-12 and top > -np.inf}


def scored(scorer, tokens):
    """A scorer's sum over a whole sequence, one call a token."""
    state, total = scorer.start(), 0.0
    for token in tokens:
        value, state = scorer.score(state, token)
        total += value
    return total + scorer.finish(state)
