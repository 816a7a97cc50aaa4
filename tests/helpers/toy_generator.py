"""A tiny model with random probabilities after any prefix, and all that it can generate."""

import functools
import itertools

import numpy as np
import torch

END = 0


@functools.cache
def drawn(seed, size, kind, sentence, prefix):
    return tuple(np.random.default_rng([seed, kind, sentence, *prefix]).normal(size=size).tolist())


@functools.cache
def normal(scores, scale=1.0):
    """Log-probabilities."""
    return torch.log_softmax(torch.tensor(scores, dtype=torch.float64) * scale, -1)


class ToyGenerator:
    """V tokens, 0 being the end; a state is a list with each row's sentence and tokens so far."""

    def __init__(self, tokens=4, positions=3, seed=0, dtype=torch.float64, scale=1.5):
        self.tokens, self.positions, self.seed = tokens, positions, seed
        self.dtype, self.scale = dtype, scale
        self.calls = []

    def start(self, *sentences):
        return [(sentence, None) for sentence in sentences]

    def step(self, tokens, state):
        self.calls.append(len(tokens))
        pairs = zip(state, tokens.tolist(), strict=True)
        state = [(s, () if before is None else (*before, token)) for (s, before), token in pairs]
        scores = torch.stack([self.log_probs(*row) for row in state])
        return scores, state, torch.stack([self.attention(*row) for row in state])

    def reorder(self, state, rows):
        return [state[row] for row in rows.tolist()]

    def log_probs(self, sentence, prefix):
        scores = drawn(self.seed, self.tokens, 1, sentence, prefix)
        return normal(scores, self.scale).to(self.dtype)

    def attention(self, sentence, prefix):
        """Weights of a sentence's positions, zeros beyond them."""
        weights = torch.zeros(self.positions, dtype=self.dtype)
        count = min(self.source(sentence), self.positions)
        weights[:count] = normal(drawn(self.seed, count, 2, sentence, prefix)).exp()
        return weights

    def source(self, sentence):
        """The length of a sentence's source."""
        return max(1, self.positions - sentence % 2)

    def along(self, sentence, tokens):
        """The log-probability of each token, and of the end at last, and attention (L + 1, S)."""
        steps = [(token, tokens[:at]) for at, token in enumerate((*tokens, END))]
        scores = [float(self.log_probs(sentence, before)[token]) for token, before in steps]
        return scores, torch.stack([self.attention(sentence, before) for _, before in steps])

    def all(self, sentence, longest, alpha=0.0, beta=0.0, keep=lambda tokens: True):
        """(score, tokens) of all finished sequences that are kept, best first, by definition."""
        found = []
        for length in range(longest + 1):
            for tokens in itertools.product(range(1, self.tokens), repeat=length):
                if keep(tokens):
                    scores, attention = self.along(sentence, tokens)
                    score = sum(scores) / ((5 + length + 1) / 6) ** alpha
                    seen = attention.sum(0)[: self.source(sentence)].double()
                    score += beta * float(seen.clamp(1e-6, 1).log().sum())
                    found.append((score, tokens))
        return sorted(found, key=lambda each: -each[0])


def without_repeats(n):
    """Keeps sequences without an n-gram that comes twice."""

    def keep(tokens):
        grams = [tokens[at : at + n] for at in range(len(tokens) - n + 1)]
        return len(set(grams)) == len(grams)

    return keep


def with_phrases(*phrases):
    """Keeps sequences in which all phrases occur."""

    def occurs(phrase, tokens):
        places = range(len(tokens) - len(phrase) + 1)
        return any(tokens[at : at + len(phrase)] == phrase for at in places)

    return lambda tokens: all(occurs(phrase, tokens) for phrase in phrases)
