"""A convolutional network in front of a recurrent layer: reading images of text.

    python examples/read_images.py

The images are strings of digits, drawn here from a small bitmap font with shifts and noise, so
nothing has to be downloaded. Convolutions turn an image (height 12, any width) into one feature
vector for each column; a bidirectional LSTM reads the columns as a sequence; connectionist temporal
classification (Graves et al. 2006) trains it without knowing where in the image each digit stands.
Images of a batch differ in width: `lengths` tells the layer where each ends.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn import LSTM

FONT = (
    "01110 00100 01110 11110 00010 11111 00111 11111 01110 01110",
    "10001 01100 10001 00001 00110 10000 01000 00001 10001 10001",
    "10011 00100 00001 00001 01010 11110 10000 00010 10001 10001",
    "10101 00100 00110 01110 10010 00001 11110 00100 01110 01111",
    "11001 00100 01000 00001 11111 00001 10001 01000 10001 00001",
    "10001 00100 10000 00001 00010 10001 10001 01000 10001 00010",
    "01110 01110 11111 11110 00010 01110 01110 01000 01110 11100",
)
HEIGHT, BLANK = 12, 10


def glyphs() -> Tensor:
    """The font as (10, 7, 5) of zeros and ones."""
    rows = [[[float(dot) for dot in digit] for digit in row.split()] for row in FONT]
    return torch.tensor(rows).transpose(0, 1)


def draw(digits: list[int], font: Tensor) -> Tensor:
    """An image (HEIGHT, width) of the digits, each shifted at random, with noise."""
    columns = [torch.zeros(HEIGHT, 4)]
    for digit in digits:
        top, gap = (int(torch.randint(limit, ())) for limit in (HEIGHT - 7, 4))
        column = torch.zeros(HEIGHT, 6 + gap)
        column[top : top + 7, :5] = font[digit]
        columns.append(column)
    image = torch.cat([*columns, torch.zeros(HEIGHT, 4)], dim=1)
    return (image + 0.2 * torch.randn_like(image)).clamp(0, 1)


def batch(size: int, font: Tensor) -> tuple[Tensor, Tensor, list[list[int]]]:
    """Images (size, 1, HEIGHT, widest), their widths (size,), and their digits."""
    texts = [torch.randint(10, (int(torch.randint(1, 6, ())),)).tolist() for _ in range(size)]
    drawn = [draw(text, font) for text in texts]
    widths = torch.tensor([image.shape[1] for image in drawn])
    images = torch.zeros(size, 1, HEIGHT, int(widths.max()))
    for row, image in zip(images, drawn, strict=True):
        row[0, :, : image.shape[1]] = image
    return images, widths, texts


class Reader(nn.Module):
    """Images (B, 1, HEIGHT, width) to log-probabilities (width / 2, B, 11) and lengths (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
        )
        self.columns = LSTM(32 * HEIGHT // 4, 48, bidirectional=True)
        self.classes = nn.Linear(96, BLANK + 1)

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Read the images, each as wide as `widths` (B,) says."""
        features = self.convolutions(images).flatten(1, 2).permute(2, 0, 1)
        lengths = widths // 2
        outputs, _ = self.columns(features, lengths=lengths)
        return F.log_softmax(self.classes(outputs), dim=-1), lengths


def read(log_probabilities: Tensor, lengths: Tensor) -> list[list[int]]:
    """The best class of each column, repeats joined and blanks dropped."""
    best = log_probabilities.argmax(-1).T
    texts = []
    for row, length in zip(best, lengths, strict=True):
        joined = torch.unique_consecutive(row[:length]).tolist()
        texts.append([digit for digit in joined if digit != BLANK])
    return texts


def main(steps: int = 450) -> float:
    """Train for `steps` steps; returns the share of 200 new images read without a fault."""
    torch.manual_seed(0)
    font, reader = glyphs(), Reader()
    optimiser = torch.optim.Adam(reader.parameters(), lr=1e-2)
    for step in range(steps):
        images, widths, texts = batch(16, font)
        log_probabilities, lengths = reader(images, widths)
        flat = torch.tensor([digit for text in texts for digit in text])
        sizes = torch.tensor([len(text) for text in texts])
        loss = F.ctc_loss(log_probabilities, flat, lengths, sizes, blank=BLANK)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:4d}   loss {loss.item():.3f}")
    images, widths, texts = batch(200, font)
    with torch.no_grad():
        found = read(*reader(images, widths))
    right = sum(f == t for f, t in zip(found, texts, strict=True)) / len(texts)
    print(
        f"\n{right:.1%} of 200 new images read without a fault; the first: {texts[0]} -> {found[0]}"
    )
    return right


if __name__ == "__main__":
    main()
