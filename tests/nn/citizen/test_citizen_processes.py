"""Processes and threads: layers in forked workers, shared memory, and threads that share a layer.

The forks happen in a process of their own, with a time limit: what OpenMP gets wrong there hangs.
"""

import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from helpers.citizens import KINDS, close, gradients, layer, oracle

FORKING = """
import torch, torch.multiprocessing as mp, recurra.nn
from torch.utils.data import DataLoader, Dataset
from helpers.citizens import layer, gradients
torch.set_num_threads(2)
module, x = layer('lstm', 3, 16), torch.randn(5, 64, 3)
fork = mp.get_context('fork')

def slopes(index):
    return list(gradients(module, x + index).values())

wanted = [slopes(index) for index in range(4)]

class Encoded(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return [g.numpy() for g in slopes(index)]

loader = DataLoader(Encoded(), num_workers=2, timeout=20, multiprocessing_context='fork')
for found, exact in zip(loader, wanted):
    for a, b in zip(found, exact):
        torch.testing.assert_close(a[0], b, rtol=1e-4, atol=1e-4)
print('loaded')

def train(queue):
    torch.set_num_threads(1)
    queue.put([torch.allclose(a, b, atol=1e-4) for a, b in zip(slopes(0), wanted[0])])

queue = fork.SimpleQueue()
child = fork.Process(target=train, args=(queue,))
child.start()
child.join(20)
assert child.exitcode == 0, child.exitcode
assert all(queue.get())
assert all(torch.equal(a, b) for a, b in zip(slopes(0), wanted[0]))
print('trained')

module.share_memory()
module(x)
child = fork.Process(target=lambda: module.weight_hh_l0.data.mul_(-1))
child.start()
child.join(20)
twin = layer('lstm', 3, 16, engine='interp')
twin.load_state_dict(module.state_dict())
torch.testing.assert_close(module(x), twin(x))
print('shared')
"""


@pytest.fixture(scope="module")
def forking():
    """What the program said, in a process of its own: how far it came."""
    if sys.platform == "win32":
        pytest.skip("no fork there")
    run = subprocess.Popen(
        [sys.executable, "-u", "-c", FORKING],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        return run.communicate(timeout=60)[0].split()
    except subprocess.TimeoutExpired:
        run.kill()
        return run.communicate()[0].split()


def test_forked_workers_of_a_data_loader(forking):
    assert "loaded" in forking


def test_training_in_a_forked_child_and_after_it(forking):
    """The child takes one thread, as it must: torch's own operations hang there with more."""
    assert "trained" in forking


def test_weights_in_shared_memory_that_another_process_writes(forking):
    assert "shared" in forking


POOL = """
import os
from recurra.engines.cpu.run import bound_call
bound_call._pool().submit(int).result()
child = os.fork()
if not child:
    os._exit(bound_call._pool().submit(int, 7).result(timeout=10))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_child_makes_threads_of_its_own():
    """Those of the pool that serves where torch's OpenMP isn't found stay with the parent."""
    run = subprocess.run([sys.executable, "-c", POOL], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["7"]


DISTRIBUTED = """
import os, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from helpers.citizens import close, layer, loss
module, x = layer('lstm'), torch.randn(5, 2, 3)
alone = torch.autograd.grad(loss(module(x)), list(module.parameters()))
dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)
wrapped = DistributedDataParallel(module, gradient_as_bucket_view=True)
for _ in range(2):
    loss(wrapped(x)).backward()
close([p.grad for p in module.parameters()], [2 * g for g in alone])
print('equal', flush=True)
os._exit(0)
"""


def test_as_part_of_a_distributed_model():
    """The process ends at once: taking a wrapped model apart can wait for a thread that waits for
    the interpreter (https://github.com/pytorch/pytorch/issues/56297)."""
    run = subprocess.run(
        [sys.executable, "-c", DISTRIBUTED],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout.split() == ["equal"], run.stderr


LOADED = """
import pickle, sys
module, x = pickle.loads(sys.stdin.buffer.read())
print(module(x)[0].sum().item())
"""


def test_sent_to_a_process_that_has_not_imported_recurra():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    sent = pickle.dumps((module, x))
    run = subprocess.run(
        [sys.executable, "-c", LOADED], input=sent, stdout=subprocess.PIPE, timeout=40
    )
    close(torch.tensor(float(run.stdout)), module(x)[0].sum().detach())


@pytest.mark.parametrize("kind", KINDS)
def test_two_threads_use_one_layer(kind):
    """Both train at once, with sizes of their own, from the first call on."""
    module = layer(kind, 3, 9)
    inputs = [torch.randn(5 + i % 3, 1 + i % 4, 3) for i in range(8)]
    wanted = [gradients(oracle(module, kind, 3, 9), x.double()) for x in inputs]
    start = threading.Barrier(2)

    def work(offset):
        start.wait()
        mine = inputs[offset::2] * 5
        return [gradients(module, x) for x in mine]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, range(2)))
    for offset in range(2):
        for ours, exact in zip(found[offset], wanted[offset::2] * 5, strict=True):
            close(list(ours.values()), list(exact.values()))


def test_threads_that_infer_while_one_writes_elsewhere():
    """Layers with weights of their own, made and dropped in several threads."""

    def work(seed):
        x = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(seed))
        for _ in range(10):
            module = layer("gru")
            with torch.no_grad():
                close(module(x), oracle(module, "gru")(x.double()))
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_a_thread_of_its_own_for_the_backward_pass():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    total = module(x)[0].square().sum()
    worker = threading.Thread(target=total.backward)
    worker.start()
    worker.join(60)
    twin = oracle(module, "lstm")
    wanted = torch.autograd.grad(twin(x.double())[0].square().sum(), list(twin.parameters()))
    close([p.grad for p in module.parameters()], wanted)
