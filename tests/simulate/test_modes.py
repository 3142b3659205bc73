"""The mode model: equal to the closed form, and on every path the same numbers."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.modes import spectrum, step_reference
from lrdoctor.simulate.stepping import stepper

T = 3_000
_t = np.arange(T)
_ramp = np.minimum((_t + 1) / 200, 1.0)
SCHEDULES = np.stack(
    [
        _ramp * 0.5 * (1.0 + np.cos(np.pi * _t / T)),
        _ramp * np.where(_t < 2_000, 1.0, 0.1),
        _ramp * (1.0 - (_t % 1_000) / 1_000),  # restarts
        _ramp * np.where((_t > 1_500) & (_t < 1_520), 2.5, 0.5),  # a spike above the peak
        _ramp * (_t < 2_500),  # an lr of 0
    ]
)
SAME = 2e-4


@pytest.fixture(scope="module")
def laws(theta):
    other = theta + np.array([-0.3, 0.2, 0.06, 0.3, 0.8, -0.15, 0.2])
    return np.stack([theta, other])


@pytest.fixture(scope="module")
def modes(laws):
    return spectrum(laws, T / 1000.0)


@pytest.fixture(scope="module")
def reference(modes):
    return step_reference(modes, SCHEDULES)


def test_the_reference_equals_the_closed_form(laws, reference):
    wanted = np.stack([loss(laws, compress(u, [T], T + 1))[:, 0] for u in SCHEDULES])
    np.testing.assert_allclose(reference, wanted, rtol=0, atol=8e-5)


def test_the_low_tail_of_the_rates_is_held(laws):
    modes = spectrum(laws, T / 1000.0)
    start = modes.end - modes.floor  # all of the signal, at a progress the smallest rates tell apart from none
    assert (start > 10.0).all()
    assert (modes.weight[:, 0] > modes.weight[:, 1]).all()


def test_the_torch_path_gives_the_same_numbers(modes, reference):
    torch = pytest.importorskip("torch")
    from lrdoctor.simulate.modes_torch import step_torch

    found = step_torch(torch.device("cpu"), modes, SCHEDULES[:, :800])
    np.testing.assert_allclose(found, step_reference(modes, SCHEDULES[:, :800]), rtol=0, atol=SAME)


def test_the_compiled_path_gives_the_same_numbers(modes, reference):
    pytest.importorskip("numba")
    from lrdoctor.simulate.modes_numba import step_compiled

    np.testing.assert_allclose(step_compiled(modes, SCHEDULES), reference, rtol=0, atol=SAME)


def test_the_compiled_path_takes_more_draws_than_a_tile(laws):
    pytest.importorskip("numba")
    from lrdoctor.simulate.modes_numba import step_compiled

    many = spectrum(np.tile(laws, (45, 1)), 0.3)
    found = step_compiled(many, SCHEDULES[:2, :300])
    assert found.shape == (2, 90)
    np.testing.assert_allclose(found, np.tile(found[:, :2], (1, 45)), rtol=0, atol=1e-6)


def test_the_compiled_path_keeps_its_precision_over_a_long_run(laws):
    pytest.importorskip("numba")
    from lrdoctor.simulate.modes_numba import step_compiled

    u = 0.5 * (1.0 + np.cos(np.pi * np.arange(100_000) / 100_000))
    found = step_compiled(spectrum(laws, 50.0), u[None])
    np.testing.assert_allclose(found[0], loss(laws, compress(u, [len(u)]))[:, 0], rtol=0, atol=SAME)


def test_the_kernel_for_cuda_gives_the_same_numbers_when_interpreted(interpreted):
    interpreted(
        "import numpy as np, torch\n"
        "from lrdoctor.simulate.modes import spectrum, step_reference\n"
        "from lrdoctor.simulate.modes_triton import step_triton\n"
        "laws = np.array([[2.75, -.15, .49, -1.55, 3.2, .73, .49], [2.4, .1, .55, -1.2, 4.0, .6, .7]])\n"
        "t = np.arange(150)\n"
        "u = np.stack([.5 * (1 + np.cos(np.pi * t / 150)), np.where(t < 100, 1., 0.)])\n"
        "modes = spectrum(laws, .2)\n"
        "off = np.abs(step_triton(torch.device('cpu'), modes, u) - step_reference(modes, u)).max()\n"
        "assert off < 2e-4, off\n"
    )


def test_the_fastest_path_on_the_cpu_is_the_compiled_one_where_numba_is(modes, reference):
    found = stepper("cpu")
    assert found.name == ("cpu (numba)" if find_spec("numba") else "cpu (numpy)")
    np.testing.assert_allclose(found.modes(modes, SCHEDULES[:1]), reference[:1], rtol=0, atol=SAME)
