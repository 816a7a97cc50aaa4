"""Pen strokes to text: a model of single-line fonts, and a page to write on.

    pip install Hershey-Fonts
    python examples/pen_to_text.py

It trains for some minutes on words drawn in Hershey's fonts, distorted as handwriting is, then
serves a page at http://localhost:8000 where what is written appears as text. A demonstration: a
model that has seen fonts alone reads block letters, not everybody's hand; for those train on
`recurra train transcribe strokes.jsonl`, with the strokes of many writers.
"""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np

from recurra import Transcriber
from recurra.data.ink.ink import Ink
from recurra.errors import RecurraError

FONTS = ("futural", "rowmans", "scripts", "futuram")
WORDS = """
the of and to in is it that was for on are with as his they be at one have this from or had by hot
word but what some we can out other were all there when up use your how said an each she which do
their time if will way about many then them write would like so these her long make thing see him
two has look more day could go come did number sound no most people my over know water than call
first who may down side been now find any new work part take get place made live where after back
little only round man year came show every good me give our under
"""
PAGE = Path(__file__).with_suffix(".html")


def drawn(word, font):
    """The ink of a word in a font; y points downwards."""
    strokes = [np.array(stroke, float) for stroke in font.strokes_for_text(word)]
    return Ink(tuple(stroke for stroke in strokes if len(stroke)))


def words(count, generator):
    """Pairs of ink and text: words, numbers, and words with a capital letter."""
    from HersheyFonts import HersheyFonts

    fonts = []
    for name in FONTS:
        fonts.append(HersheyFonts())
        fonts[-1].load_default_font(name)
    for _ in range(count):
        word = str(generator.choice(WORDS.split()))
        kind = generator.integers(4)
        word = str(generator.integers(10_000)) if kind == 0 else word
        word = word.capitalize() if kind == 1 else word
        yield drawn(word, fonts[generator.integers(len(fonts))]), word


def answer(model):
    """A handler of requests: the page, and the text of strokes that it sends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(PAGE.read_text(), "html")

        def do_POST(self):
            strokes = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            ink = Ink(tuple(np.array(stroke, float) for stroke in strokes))
            try:
                self.reply(model.transcribe([ink])[0].text)
            except RecurraError as error:
                self.reply(str(error), status=400)

        def reply(self, text, kind="plain", status=200):
            self.send_response(status)
            self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler


def main(count=3000, minutes=4.0, steps=None, port=8000):
    """Train, print the held-out errors, and serve the page; the share of right characters."""
    data = list(words(count, np.random.default_rng(0)))
    model = Transcriber(input="ink", max_minutes=minutes, max_steps=steps, masks=0.0)
    model.fit(data)
    print(f"characters wrong on held-out words: {model.validation['cer']:.1%}")
    if port:
        print(f"write at http://localhost:{port} (Ctrl-C ends)")
        HTTPServer(("localhost", port), answer(model)).serve_forever()
    return 1 - model.validation["cer"]


if __name__ == "__main__":
    main()
