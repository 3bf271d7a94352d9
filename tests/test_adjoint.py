"""The discrete adjoint against central differences of LAMMPS runs themselves.

Potentials are smooth at the cutoff: where a force ends with a step, so does a trajectory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from conftest import KERNELS, kernel_environment
from diffsim import _core
from diffsim.lammps.engine import lammps_instance

CUTOFF, KNOTS, DT = 2.5, 250, 0.005
PAIRS = [(1.0, 1.0), (1.2, 0.95), (0.7, 0.9)]  # epsilon, sigma of A-A, A-B, B-B
INTEGRATORS = {
    "nve": "fix integrate all nve",
    "langevin": "fix integrate all nve\nfix thermostat all langevin 1.0 1.0 0.5 4711",
    "nvt": "fix integrate all nvt temp 1.0 1.0 0.3",
    "nvt of five": "fix integrate all nvt temp 1.0 1.0 0.3 tchain 5",
    "nvt of one": "fix integrate all nvt temp 1.0 1.0 0.3 tchain 1",
}


def smooth_lj(r, epsilon, sigma):
    x = (sigma / r) ** 6
    return 4 * epsilon * (x * x - x) * (1 - (r / CUTOFF) ** 2) ** 3


@dataclass
class Fluid:
    """An equilibrated fluid in a restart file, simulated on in any potential."""

    folder: Path
    species: list[str]
    integrator: str
    tilted: bool = False

    def __post_init__(self):
        n_pairs = len(self.species) * (len(self.species) + 1) // 2
        self.inner = [0.8 * sigma for _, sigma in PAIRS[:n_pairs]]
        self.r = np.array([np.sqrt(np.linspace(a**2, CUTOFF**2, KNOTS)) for a in self.inner])
        self.u = np.array([smooth_lj(r, *p) for r, p in zip(self.r, PAIRS, strict=False)])
        # a change of the potential that is seen everywhere and smooth at the cutoff
        self.change = np.sin(5 * self.r + 1) * np.exp(-self.u.clip(0, 50) / 20)
        self.change *= (CUTOFF - self.r) ** 3
        second = "set type 1 type/fraction 2 0.3 99\nmass 2 1.7" if n_pairs > 1 else ""
        box = "prism 0 6 0 6 0 6 1.5 -1 0.5" if self.tilted else "block 0 6 0 6 0 6"
        with lammps_instance(None, {}) as lammps:
            lammps.commands_string(f"""
                units lj
                lattice sc 0.7
                region box {box}
                create_box {len(self.species)} box
                create_atoms 1 box
                mass * 1.0
                {second}
                velocity all create 1.2 12
                timestep {DT}
                {self.potential(self.u)}
                {INTEGRATORS[self.integrator]}
                run 300
                write_restart {self.folder}/start
                """)

    def potential(self, u):
        path = self.folder / "potential.knots"
        _core.Knots("lj", self.species, CUTOFF, self.inner, u).write(str(path))
        return f"pair_style diffsim\npair_coeff * * {path} {' '.join(self.species)}"

    def run(self, u, steps, every=1):
        """The trajectory of a run from the restart file in the potential u at the knots."""
        with lammps_instance(None, {}) as lammps:
            lammps.commands_string(f"""
                read_restart {self.folder}/start
                timestep {DT}
                {self.potential(u)}
                {INTEGRATORS[self.integrator]}
                fix record all diffsim/trajectory every {every}
                run {steps}
                """)
            (trajectory,) = _core.take_trajectories(lammps.lmp.value, "record")
        return trajectory


class Loss:
    """Something of everything: positions, displacements, correlations of velocities."""

    def __init__(self, trajectory):
        self.force = np.random.default_rng(5).normal(size=trajectory.x.shape[1:])
        self.middle = trajectory.steps // 10

    def value(self, t):
        d = t.x[-1] - t.x[0]
        correlation = (t.v[0] + t.v[self.middle]) * t.v[-1]
        return 0.01 * np.sum(self.force * t.x[-1]) + np.sum(d * d + correlation) / len(d)

    def derivatives(self, t):
        n, d = t.x.shape[1], t.x[-1] - t.x[0]
        dx, dv = np.zeros(t.x.shape), np.zeros(t.v.shape)
        dx[-1] = 0.01 * self.force + 2 * d / n
        dx[0] = -2 * d / n
        dv[-1] = (t.v[0] + t.v[self.middle]) / n
        dv[0] += t.v[-1] / n
        dv[self.middle] += t.v[-1] / n
        return dx, dv


def gradient(trajectory, dx, dv, **options):
    """dL/du at the knots of each pair of types."""
    found = _core.adjoint(trajectory, dx, dv, **options)
    return _core.spline_coefficients_transpose(found["coefficients"])


def central_difference(fluid, loss, change, step, steps):
    """Of fourth order in the step."""

    def slope(h):
        up, down = (loss.value(fluid.run(fluid.u + s * h * change, steps)) for s in (1, -1))
        return (up - down) / (2 * h)

    return (4 * slope(step / 2) - slope(step)) / 3


@pytest.mark.parametrize("species", [["A"], ["A", "B"]], ids=["pure", "mixture"])
@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_gradient_of_200_steps_is_that_of_lammps(tmp_path, integrator, species):
    fluid = Fluid(tmp_path, species, integrator)
    trajectory = fluid.run(fluid.u, 200)
    loss = Loss(trajectory)
    found = np.sum(gradient(trajectory, *loss.derivatives(trajectory)) * fluid.change)
    assert found == pytest.approx(
        central_difference(fluid, loss, fluid.change, 4e-7, 200), rel=1e-6
    )


@pytest.mark.parametrize("integrator", ["nve", "langevin", "nvt"])
def test_direction_of_the_gradient_of_1000_steps(tmp_path, integrator):
    """Along many changes of the potential, of which chaos makes each derivative large."""
    steps, modes = 1000, 6
    fluid = Fluid(tmp_path, ["A", "B"], integrator)
    trajectory = fluid.run(fluid.u, steps)
    loss = Loss(trajectory)
    derivatives = loss.derivatives(trajectory)
    full = gradient(trajectory, *derivatives)
    norm = _core.adjoint(trajectory, *derivatives)["norm"]
    assert norm[0] > 1e5 * norm[-1]
    step = 0.05 * norm[-1] / norm[0]  # chaos makes a change of this size
    changes = [fluid.change * np.cos(k * fluid.r) for k in range(modes)]
    found = np.array([np.sum(full * change) for change in changes])
    expected = np.array([central_difference(fluid, loss, c, step, steps) for c in changes])
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert np.sqrt(2 - 2 * cosine) < 1e-3
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(expected), rel=1e-3)


def test_gradient_in_a_tilted_box(tmp_path):
    fluid = Fluid(tmp_path, ["A", "B"], "nve", tilted=True)
    trajectory = fluid.run(fluid.u, 100)
    loss = Loss(trajectory)
    found = np.sum(gradient(trajectory, *loss.derivatives(trajectory)) * fluid.change)
    assert found == pytest.approx(
        central_difference(fluid, loss, fluid.change, 4e-7, 100), rel=1e-6
    )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("threads", [1, 2])
def test_all_kernels_and_threads_give_the_same(tmp_path, kernel, threads):
    kernel_environment(kernel)  # skips where the processor lacks it
    fluid = Fluid(tmp_path, ["A", "B"], "nvt")
    trajectory = fluid.run(fluid.u, 50)
    derivatives = Loss(trajectory).derivatives(trajectory)
    reference = _core.adjoint(trajectory, *derivatives, instructions="portable")
    found = _core.adjoint(trajectory, *derivatives, instructions=kernel, threads=threads)
    for key, values in reference.items():
        assert found[key] == pytest.approx(values, rel=1e-9, abs=1e-9 * np.abs(values).max())


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_derivatives_by_the_initial_state(tmp_path, integrator):
    """With L = sum a.x_1 + b.v_1 of one step: the transposed Jacobian of the step, from its parts.

    In an ideal gas (no potential) positions and velocities of a step are known in closed form.
    """
    fluid = Fluid(tmp_path, ["A"], integrator)
    none = np.zeros_like(fluid.u)
    trajectory = fluid.run(none, 1)
    shape = trajectory.x.shape
    rng = np.random.default_rng(2)
    dx, dv = np.zeros(shape), np.zeros(shape)
    dx[1], dv[1] = rng.normal(size=(2, *shape[1:]))
    found = _core.adjoint(trajectory, dx, dv)
    assert found["x"] == pytest.approx(dx[1])
    if integrator == "nve":
        assert found["v"] == pytest.approx(dv[1] + DT * dx[1])
    elif integrator == "langevin":
        # h = v (1 - g dt/2), v_1 = h (1 - g dt/2) with g = 1/0.5
        damped = 1 - DT / 2 / 0.5
        assert found["v"] == pytest.approx(damped * (damped * dv[1] + DT * dx[1]))
    else:
        # all velocities are scaled alike; what changes the kinetic energy changes the scale
        v = trajectory.v[0]
        scale = (trajectory.x[1] - trajectory.x[0])[0, 0] / DT / v[0, 0]
        along = found["v"] - scale * (trajectory.v[1] / v / scale * dv[1] + DT * dx[1])
        assert np.allclose(along, np.sum(along * v) / np.sum(v * v) * v, atol=1e-12)


def test_states_are_recorded_as_lammps_has_them(tmp_path):
    """Positions are those of the unwrapped trajectory, atoms in the order of their IDs."""
    fluid = Fluid(tmp_path, ["A", "B"], "nvt")
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(f"""
            read_restart {tmp_path}/start
            timestep {DT}
            {fluid.potential(fluid.u)}
            {INTEGRATORS["nvt"]}
            fix record all diffsim/trajectory
            run 40
            """)
        (t,) = _core.take_trajectories(lammps.lmp.value, "record")
        n = lammps.get_natoms()
        x = np.array(lammps.gather_atoms("x", 1, 3)).reshape(n, 3)
        image = np.array(lammps.gather_atoms("image", 0, 3)).reshape(n, 3)
        v = np.array(lammps.gather_atoms("v", 1, 3)).reshape(n, 3)
        types = np.array(lammps.gather_atoms("type", 0, 1))
        chain = [lammps.extract_fix("integrate", 0, 1, 3 + k) for k in range(3)]
    assert (t.steps, t.dt, t.integrator) == (40, DT, "nose-hoover")
    assert t.kt == 1.0
    assert np.array_equal(t.tag, np.arange(1, n + 1))
    assert np.array_equal(t.type, types)
    assert np.array_equal(t.mass, np.where(types == 1, 1.0, 1.7))
    assert t.x[-1] == pytest.approx(x + image * np.diag(t.box), abs=1e-12)
    assert np.array_equal(t.v[-1], v)
    assert np.array_equal(t.chain_velocity[-1], chain)
    # 3 (N - 1) degrees of freedom and one each; Q = (degrees of freedom) kT / w^2, w = 1/0.3
    assert t.chain_mass == pytest.approx(0.09 * np.array([3 * n - 3, 1, 1]), rel=1e-9)
    assert np.abs(np.diff(t.x, axis=0)).max() < 0.2


@pytest.mark.parametrize("integrator", ["nve", "nvt"])
def test_states_that_are_not_kept_are_computed_again(tmp_path, integrator):
    """Every 20th of 200 steps: a tenth of the memory, and the same derivatives."""
    fluid = Fluid(tmp_path, ["A", "B"], integrator)
    full, sparse = fluid.run(fluid.u, 200), fluid.run(fluid.u, 200, every=20)
    assert (sparse.steps, sparse.stride, len(sparse.x)) == (200, 20, 11)
    assert np.array_equal(sparse.x, full.x[::20]) and np.array_equal(sparse.v, full.v[::20])
    assert sparse.nbytes < 0.06 * full.nbytes
    rng = np.random.default_rng(3)
    dx, dv = rng.normal(size=(2, *sparse.x.shape))
    every = np.zeros((2, *full.x.shape))
    every[0, ::20], every[1, ::20] = dx, dv
    expected, found = _core.adjoint(full, *every), _core.adjoint(sparse, dx, dv)
    for key in ("coefficients", "x", "v", "chain"):
        assert found[key] == pytest.approx(
            expected[key], rel=1e-6, abs=1e-8 * np.abs(expected[key]).max(initial=0)
        )
    assert found["norm"] == pytest.approx(expected["norm"][::20], rel=1e-8)
