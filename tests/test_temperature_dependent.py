"""Potentials that depend on temperature: thermodynamics, and files of one temperature."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from diffsim.errors import InputError
from diffsim.knots import choose_grid
from diffsim.potentials import (
    FORMS,
    LennardJones,
    Neural,
    TemperatureDependent,
    Yukawa,
    check_model,
    create,
    load,
)
from test_potentials import CUTOFF, OPTIONS, energies, energy

R = torch.linspace(0.8, 3.2, 49, dtype=torch.float64)
T0 = 1.5


def lj_and_yukawa():
    """u_0 Lennard-Jones, s a Yukawa of longer range."""
    return TemperatureDependent(
        LennardJones(["A", "B"], CUTOFF), Yukawa(["A", "B"], 3.0, a=0.7, kappa=1.2), T0, [1.0, 2.0]
    )


@pytest.mark.parametrize("temperature", [0.3, 1.0, T0, 2.0, 9.0])
def test_energy_and_entropy_are_those_of_thermodynamics(temperature):
    """S = -du/dT by a finite difference is s/T0, and u + T S = u_0 + s at any temperature."""
    potential = lj_and_yukawa()
    h = 1e-3 * temperature  # exact in a linear function but for rounding
    up, down = (energies(potential.at(temperature + sign * h), R, 0, 1) for sign in (1, -1))
    entropy = -(up - down) / (2 * h)
    s, u_0 = energies(potential.entropic, R, 0, 1), energies(potential.reference, R, 0, 1)
    torch.testing.assert_close(T0 * entropy, s, rtol=1e-9, atol=1e-9)
    total = energies(potential.at(temperature), R, 0, 1) + temperature * entropy
    torch.testing.assert_close(total, u_0 + s, rtol=1e-9, atol=1e-8)


def test_at_its_reference_temperature_it_is_the_reference():
    potential = lj_and_yukawa()
    assert torch.equal(energies(potential.at(T0), R), energies(potential.reference, R))


def test_parts_scale_with_the_unit_of_temperature():
    """Kelvin or reduced, the parts are energies and stay what they are."""
    reduced = lj_and_yukawa()
    kelvin = TemperatureDependent(reduced.reference, reduced.entropic, 120.0 * T0)
    torch.testing.assert_close(energies(kelvin.at(240.0), R), energies(reduced.at(2.0), R))


@pytest.mark.parametrize("form", FORMS)
def test_any_form_can_be_either_part(form, tmp_path):
    """The file of a temperature keeps the contract, says its temperatures, and loads anywhere."""

    def part(seed):
        options = {"seed": seed} if form in ("neural", "embedding") else {}
        return create(form, species=["A", "B"], cutoff=CUTOFF, **OPTIONS[form], **options)

    potential = TemperatureDependent(part(1), part(2), T0, [1.0, 2.0])
    present = potential.at(2.0)
    check_model(present, "The potential")
    path = tmp_path / "model.pt"
    present.save(path)
    loaded = load(path)
    assert (loaded.cutoff, loaded.species, loaded.units) == (CUTOFF, ["A", "B"], "lj")
    expected = energies(part(1), R, 0, 1) - (2.0 - T0) / T0 * energies(part(2), R, 0, 1)
    torch.testing.assert_close(energies(present, R, 0, 1), expected, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(energies(loaded, R, 0, 1), expected, rtol=1e-12, atol=1e-13)
    whole = TemperatureDependent.load(path)
    assert (whole.reference_temperature, whole.temperatures) == (T0, [1.0, 2.0])
    other = energies(potential.at(0.7), R, 0, 1)
    torch.testing.assert_close(energies(whole.at(0.7), R, 0, 1), other, rtol=1e-12, atol=1e-13)


def test_the_file_says_its_temperatures_without_diffsim(tmp_path):
    path = tmp_path / "model.pt"
    recorded = lj_and_yukawa()
    recorded.save(path, temperature=2.0)
    bare = TemperatureDependent(recorded.reference, recorded.entropic, T0)
    bare.save(tmp_path / "bare.pt")  # T0; learned from nothing yet
    script = (
        "import sys, torch\n"
        "sys.modules['diffsim'] = None\n"
        "for path in sys.argv[1:]:\n"
        "    m = torch.jit.load(path)\n"
        "    print(m.temperature, m.reference_temperature, m.temperatures, m.cutoff)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(path), str(tmp_path / "bare.pt")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert printed.stdout.splitlines() == ["2.0 1.5 [1.0, 2.0] 3.0", "1.5 1.5 [] 3.0"]


def test_a_restored_potential_can_be_saved_and_restored_again(tmp_path):
    potential = lj_and_yukawa()
    potential.save(tmp_path / "first.pt")
    TemperatureDependent.load(tmp_path / "first.pt").save(tmp_path / "second.pt", temperature=1.0)
    again = TemperatureDependent.load(tmp_path / "second.pt")
    assert again.reference_temperature == T0
    assert torch.equal(energies(again.at(2.0), R), energies(potential.at(2.0), R))


def test_gradients_at_several_temperatures_add_up_in_the_two_parts():
    """dL/du_0 = sum_T dL/du_T and dL/ds = -sum_T (T - T0)/T0 dL/du_T, by finite differences."""
    potential = TemperatureDependent(
        Neural(["A"], CUTOFF, hidden=[4], n_basis=6, seed=1),
        Neural(["A"], CUTOFF, hidden=[4], n_basis=6, seed=2),
        T0,
    )
    cold, hot = potential.at(1.0), potential.at(2.5)

    def value():
        return (energies(cold, R).sin() + 3.0 * energies(hot, R).cos()).sum()

    value().backward()
    assert {id(p) for p in hot.parameters()} == {id(p) for p in potential.parameters()}
    for part in (potential.reference, potential.entropic):
        parameter = part.networks[0].layers[0].weight
        found = parameter.grad[1, 2].item()
        differences = []
        with torch.no_grad():
            for step in (1e-6, -2e-6):
                parameter[1, 2] += step
                differences.append(value().item())
        assert found == pytest.approx((differences[0] - differences[1]) / 2e-6, rel=1e-5)
        assert abs(found) > 1e-4


def test_least_squares_at_two_temperatures_recover_both_parts():
    """u at two temperatures determines u_0 and s, where the temperatures differ."""
    truth = lj_and_yukawa()
    learned = TemperatureDependent(
        LennardJones(["A", "B"], CUTOFF, epsilon=0.6, sigma=1.05),
        Yukawa(["A", "B"], 3.0, a=0.2, kappa=0.8),
        T0,
    )
    optimizer = torch.optim.LBFGS(
        learned.parameters(), max_iter=300, line_search_fn="strong_wolfe", tolerance_change=1e-14
    )
    r = R[R > 0.95]

    def closure():
        optimizer.zero_grad()
        loss = sum(
            (energies(learned.at(t), r, i, j) - energies(truth.at(t), r, i, j).detach())
            .square()
            .mean()
            for t in (1.0, 2.0)
            for i, j in ((0, 0), (0, 1), (1, 1))
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    # the loss is a square: 1e-12 of it is 1e-6 of the energy
    for part in ("reference", "entropic"):
        difference = energies(getattr(learned, part), r) - energies(getattr(truth, part), r)
        assert difference.abs().max() < 1e-4


def test_it_has_knots_at_a_temperature():
    """LAMMPS's spline of the potential of a temperature, like that of any other."""
    parts = Neural(["A"], CUTOFF, seed=1), Yukawa(["A"], 3.0, a=0.7, kappa=1.2)
    grid, error = choose_grid(TemperatureDependent(*parts, T0).at(2.0), 1e-4)
    assert grid.cutoff == 3.0
    assert np.isfinite(error.energy) and error.energy < 1e-4


def test_wrong_parts_and_temperatures(tmp_path):
    lj = LennardJones(["A"], CUTOFF)
    other = LennardJones(["A"], CUTOFF)
    with pytest.raises(InputError, match="entropic part must be a PairPotential; found Linear"):
        TemperatureDependent(lj, torch.nn.Linear(1, 1), 1.0)
    with pytest.raises(InputError, match=r"the same object.*make two potentials"):
        TemperatureDependent(lj, lj, 1.0)
    with pytest.raises(InputError, match="same species; found \\['A'\\] and \\['B'\\]"):
        TemperatureDependent(lj, LennardJones(["B"], CUTOFF), 1.0)
    with pytest.raises(InputError, match="same units; found 'lj' and 'real'"):
        TemperatureDependent(lj, LennardJones(["A"], CUTOFF, "real"), 1.0)
    with pytest.raises(InputError, match=r"reference_temperature must be a positive.*found 0"):
        TemperatureDependent(lj, other, 0)
    with pytest.raises(InputError, match=r"temperatures\[1\] must be a positive.*found -2"):
        TemperatureDependent(lj, other, 1.0, [1.0, -2])
    with pytest.raises(InputError, match=r"temperature must be a positive.*found nan"):
        TemperatureDependent(lj, other, 1.0).at(float("nan"))
    lj.save(tmp_path / "lj.pt")
    with pytest.raises(InputError, match="does not depend on temperature"):
        TemperatureDependent.load(tmp_path / "lj.pt")
    assert energy(load(tmp_path / "lj.pt"), 1.0) == pytest.approx(energy(lj, 1.0))
