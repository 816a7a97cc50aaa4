"""Networks on a Cortex-M4, as QEMU has it: the same digits as on this computer."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from helpers.small_models import small_model
from recurra.deploy.export.c_target import CTarget, compiler

BOARD = Path(__file__).parents[3] / "examples" / "microcontroller"
ABSENT = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}")

FOR_BOARD = [
    *("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    *("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "--specs=rdimon.specs"),
]
EMULATED = [
    *("qemu-system-arm", "-M", "mps2-an386", "-nographic", "-icount", "shift=0"),
    *("-semihosting-config", "enable=on,target=native", "-kernel"),
]


@pytest.mark.parametrize("form", ["float32", "int16", "int8"])
@pytest.mark.parametrize("name", ["language", "waves"])
def test_the_digits_are_those_of_this_computer(name, form, tmp_path):
    (exportable, *_) = small_model(name).exportables()
    for file, content in CTarget(form).files(exportable, "model", {}).items():
        (tmp_path / file).write_bytes(content)
    plain = ["-std=gnu99", "-O2", f"-I{tmp_path}"]
    if exportable.program.input.kind == "tokens":
        plain.append("-DTOKENS=5")
    sources = [str(BOARD / "main.c"), str(tmp_path / "model.c")]
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    subprocess.run([*compiler(), *plain, *sources, "-o", here, "-lm"], check=True)
    own = ["-T", str(BOARD / "board.ld"), str(BOARD / "startup.c")]
    subprocess.run([*FOR_BOARD, *plain, *own, *sources, "-o", there, "-lm"], check=True)
    done = subprocess.run([here], capture_output=True, text=True, check=True)
    wanted = done.stdout.split("\n")[0]
    shown = subprocess.run(
        [*EMULATED, there], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    found, instructions = shown.split("\n")[:2]
    # The libraries' exp and tanh differ in their last bits, and a fifth decimal may be rounded so.
    digits = [np.array(text.split(), float) for text in (found, wanted)]
    np.testing.assert_allclose(*digits, rtol=0, atol=1.5e-5)
    assert int(instructions) > 0
