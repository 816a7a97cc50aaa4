"""Voice commands: a model of synthetic voices, and a page to speak to.

    apt install espeak-ng
    python examples/voice_commands.py

espeak-ng speaks ten commands in many voices, pitches and speeds; a model trains on them for some
minutes, then a page at http://localhost:8001 shows what the microphone hears while it hears it, or
what is in a recording that is dropped there. A demonstration: synthetic voices are not people (a
model of such voices alone had 57 % of real spoken digits right); record a few people and train on
`recurra train transcribe recordings/`.
"""

import io
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import soundfile

from recurra import Transcriber
from recurra.data.audio.resampler import resample
from recurra.data.audio.sound import Sound
from recurra.errors import RecurraError

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029")
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
RATE = 16_000
PAGE = Path(__file__).with_suffix(".html")


def spoken(command, voice, pitch, speed):
    """The samples of a command as espeak-ng says it."""
    words = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdout", command]
    sound = subprocess.run(words, check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(sound), dtype="float32")
    return resample(samples, rate, RATE)


def commands(count, generator):
    """Pairs of sound and text: one to three commands in a voice of its own.

    Before, between and after them is silence of up to a second: a microphone hears more of it than
    of words, and a model that had never heard it took its beginning for a `no`.
    """
    for _ in range(count):
        voice = f"{generator.choice(VOICES)}+{generator.choice(VARIANTS)}"
        pitch, speed = generator.integers(20, 80), generator.integers(110, 220)
        said = generator.choice(COMMANDS, size=generator.integers(1, 4))
        parts = [spoken(command, voice, pitch, speed) for command in said]
        pauses = [np.zeros(int(RATE * generator.random()), np.float32) for _ in (*said, "end")]
        whole = [each for pair in zip(pauses, parts, strict=False) for each in pair]
        yield Sound(np.concatenate([*whole, pauses[-1]]), RATE), " ".join(said)


class Listener:
    """The streams of sound that pages send, by their names."""

    def __init__(self, model):
        self.model, self.streams = model, {}

    def text(self, name, rate, samples, last):
        """What a stream seems to say so far, after these samples."""
        if name not in self.streams:
            self.streams = dict(list(self.streams.items())[-9:])  # others were left
            self.streams[name] = (self.model.session(rate=rate), [])
        session, settled = self.streams[name]
        settled += session.feed(samples)
        if last:
            settled += session.finish()
            del self.streams[name]
        return "".join(span.text for span in settled) + ("" if last else session.partial)


def answer(model):
    """A handler of requests: the page, and the text of the sound that it sends."""
    listener = Listener(model)
    page = PAGE.read_text().replace("COMMANDS", ", ".join(COMMANDS))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(page, "html")

        def do_POST(self):
            query = dict(parse_qsl(urlsplit(self.path).query))
            data = self.rfile.read(int(self.headers["Content-Length"]))
            samples = np.frombuffer(data, "<f4")
            try:
                rate, last = int(query["rate"]), "last" in query
                self.reply(listener.text(query["stream"], rate, samples, last))
            except RecurraError as error:
                self.reply(str(error), status=400)

        def reply(self, text, kind="plain", status=200):
            self.send_response(status)
            self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *line):
            """Nothing: a page asks several times a second."""

    return Handler


def main(count=800, steps=1500, port=8001):
    """Train, print the held-out errors, and serve the page; the share of right characters."""
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng, which speaks the commands, is not installed: apt install espeak-ng")
    data = list(commands(count, np.random.default_rng(0)))
    model = Transcriber(
        input="sound",
        rate=RATE,
        max_steps=steps,
        bidirectional=False,
    )
    model.fit(data)
    print(f"words wrong of held-out voices: {model.validation['wer']:.1%}")
    if port:
        print(f"speak at http://localhost:{port} (Ctrl-C ends)")
        HTTPServer(("localhost", port), answer(model)).serve_forever()
    return 1 - model.validation["cer"]


if __name__ == "__main__":
    main()
