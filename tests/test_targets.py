"""Target RDFs: the files they come from, their bins, and RDFs of trajectories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffsim.errors import InputError
from diffsim.records.frames import Frames
from diffsim.reference.trajectory import (
    bin_edges,
    frames_of,
    molecules_of,
    rdf_of_frames,
    read_trajectory,
)
from diffsim.targets import RDF, range_weights, rebin_matrix, write_rdf
from diffsim.targets.rdf_bins import smearing_matrix

PAIR = ("A", "A")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def error_of(path, **options):
    with pytest.raises(InputError) as caught:
        RDF.from_file(path, PAIR, **options)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and str(path) in message
    return message


@pytest.mark.parametrize(
    "text",
    [
        "0.5,0.0\n1.5,2.0\n2.5,1.0\n",
        "r,g(r)\n0.5, 0.0\n1.5, 2.0\n2.5, 1.0\n",
        "r;g\n0.5;0.0\n1.5;2.0\n2.5;1.0\n",
        "# r g\n\n0.5 0.0 # core\n 1.5\t2.0\n2.5 1.0\n",
        '# gmx rdf\n@ title "RDF"\n@TYPE xy\n0.500 0.000\n1.500 2.000\n2.500 1.000\n&\n',
        "\ufeffr,g\r\n0.5,0.0\r\n1.5,2.0\r\n2.5,1.0\r\n",
    ],
    ids=["csv", "csv-header", "semicolon", "whitespace", "xvg", "spreadsheet"],
)
def test_formats(tmp_path, text):
    target = RDF.from_file(write(tmp_path / "g.txt", text), PAIR)
    np.testing.assert_array_equal(target.r, [0.5, 1.5, 2.5])
    np.testing.assert_array_equal(target.g, [0.0, 2.0, 1.0])
    np.testing.assert_array_equal(target.edges, [0.0, 1.0, 2.0, 3.0])
    assert target.error is None and target.weight == 1.0 and target.bin_weights is None


def test_errors_range_and_weights(tmp_path):
    path = write(tmp_path / "g.csv", "r,g,error\n.5,0,0\n1.5,2,.1\n2.5,1,.2\n3.5,1,.3\n4.5,1,.4\n")
    target = RDF.from_file(path, PAIR, weight=2.0, range=(1.0, 3.5), bin_weights=[1.0, 0.0, 3.0])
    np.testing.assert_array_equal(target.r, [1.5, 2.5, 3.5])
    np.testing.assert_array_equal(target.error, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(target.edges, [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(target.bin_weights, [1.0, 0.0, 3.0])
    assert target.weight == 2.0


def test_written_files_are_read_again(tmp_path):
    r = 0.025 * (np.arange(100) + 0.5)
    g = np.where(r < 0.9, 0.0, 1.0 + np.sin(7.0 * r) / 3.0)
    write_rdf(tmp_path / "g.csv", r, g, 0.01 * g, ["liquid", "rho = 0.7"])
    target = RDF.from_file(tmp_path / "g.csv", PAIR)
    assert (
        (tmp_path / "g.csv").read_text().startswith("# liquid\n# rho = 0.7\nr,g,error\n0.0125,0,")
    )
    np.testing.assert_allclose(target.g, g, rtol=1e-9)
    np.testing.assert_allclose(target.error, 0.01 * g, rtol=1e-9)
    np.testing.assert_array_equal(target.edges, 0.025 * np.arange(101))


@pytest.mark.parametrize(
    ("atoms", "norm", "line", "known"),
    [
        (1000, "N-1", "# atoms: 1000\n# norm: N-1\n", True),
        (1000, "N", "# atoms: 1000\n# norm: N\n", True),
        (1000, None, "# atoms: 1000\n", False),  # 1 - S/N, or 1 + (1 - S)/N?
        (None, "N", "# norm: N\n", False),
        (np.inf, None, "# atoms: infinite\n", True),
        ({"A": 800, "B": 200}, "N-1", "# atoms: A 800, B 200\n# norm: N-1\n", True),
        (None, None, "", False),
    ],
)
def test_a_file_says_of_how_many_atoms_it_is(tmp_path, atoms, norm, line, known):
    r, g = np.array([0.5, 1.5, 2.5]), np.array([0.0, 2.0, 1.0])
    write_rdf(tmp_path / "g.csv", r, g, None, ["liquid"], atoms, norm)
    assert f"# liquid\n{line}r,g\n" in (tmp_path / "g.csv").read_text()
    target = RDF.from_file(tmp_path / "g.csv", ("A", "B") if isinstance(atoms, dict) else PAIR)
    assert target.atoms == atoms and target.norm == norm and target.norm_is_known == known


def test_what_is_said_in_python_overrides_the_file(tmp_path):
    path = write(tmp_path / "g.csv", "# atoms: 1000\n#norm: N\n0.5,0\n1.5,2\n2.5,1\n")
    target = RDF.from_file(path, PAIR, atoms=np.inf, norm="N-1")
    assert target.atoms == np.inf and target.norm == "N-1"
    assert RDF.from_file(path, PAIR).norm == "N"


def test_numbers_of_species_are_those_of_the_pair_in_order_where_names_differ(tmp_path):
    path = write(tmp_path / "g.csv", "# atoms: 1 800, 2 200\n0.5,0\n1.5,2\n2.5,1\n")
    assert RDF.from_file(path, ("A", "B")).atoms == {"A": 800, "B": 200}
    path.write_text("# atoms: OW 512\n0.5,0\n1.5,2\n2.5,1\n")
    assert RDF.from_file(path, ("W", "W")).atoms == {"W": 512}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# atoms: many\n", ["Line 1", "'many'", "# atoms: 1000"]),
        ("r g\n# atoms: A 800\n", ["Line 2", "'A 800'"]),  # of which pair, A-B?
        ("# atoms: nan\n", ["Line 1", "'nan'"]),
        ("# norm: N2\n", ["Line 1", "'N2'", "# norm: N-1"]),
    ],
)
def test_lines_about_the_box_that_are_not_understood(tmp_path, text, words):
    path = write(tmp_path / "g.csv", text + "0.5 0\n1.5 2\n2.5 1\n")
    with pytest.raises(InputError) as caught:
        RDF.from_file(path, ("A", "B"))
    assert all(word in str(caught.value) for word in [*words, str(path)])


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ({"atoms": 1}, ["at least 2", "1 was given"]),
        ({"atoms": np.nan}, ["at least 2", "nan"]),
        ({"atoms": {"A": 1000}}, ["number of atoms of B"]),
        ({"atoms": {"A": np.inf, "B": 5.0}}, ["finite", "infinitely many"]),
        ({"norm": "N2"}, ["'N-1' or 'N'", "'N2'"]),
    ],
)
def test_boxes_that_cannot_be(box, words):
    with pytest.raises(InputError) as caught:
        RDF(np.array([0.5, 1.5, 2.5]), np.array([0.0, 2.0, 1.0]), ("A", "B"), **box)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.5 1\n1.5 x1\n2.5 1\n", ["Line 2", "'x1'"]),
        ("O.5 1\n1.5 1\n2.5 1\n", ["Line 1", "'O.5'"]),
        ("0.5 1\n1.5 1\nend\n2.5 1\n", ["Line 3", "'end'"]),
        ("1 2 3 4\n", ["Line 1", "2 columns (r and g) or 3", "4 were found"]),
        ("1\n2\n3\n", ["Line 1", "1 were found"]),
        ("0.5 1\n1.5 1 0.1\n2.5 1\n", ["Line 2", "2 columns like the lines above", "3"]),
        ("r g\n", ["none"]),
        ("", ["none"]),
        ("0.5 1\n1.5 1\n", ["at least 3 points", "has 2"]),
        ("0.5 1\n1.5 nan\n2.5 1\n", ["Line 2", "g = nan", "finite"]),
        ("0.5 1\n1.5 1\ninf 1\n", ["Line 3", "r = inf", "finite"]),
        ("-0.5 1\n1.5 1\n2.5 1\n", ["Line 1", "r = -0.5", "negative"]),
        ("# r\n0.5 1\n1.5 1\n1.5 1\n2 1\n", ["Line 4", "r = 1.5 after r = 1.5", "increase"]),
        ("0.5 1\n1.5 -1e-3\n2.5 1\n", ["Line 2", "g = -0.001", "negative"]),
        ("0.5 1 .1\n1.5 1 -.1\n2.5 1 .1\n", ["Line 2", "error = -0.1", "negative"]),
        ("0.5 0 0\n1.5 1 0\n2.5 1 .1\n", ["Line 2", "error of zero", "g = 1"]),
        ("0.5 0\n1.5 0\n2.5 0\n", ["zero everywhere"]),
        ("0.2 0\n1.2 1\n2.2 1\n", ["starts at r = 0.2", "-0.3", "centres"]),
    ],
)
def test_bad_files(tmp_path, text, words):
    message = error_of(write(tmp_path / "g.txt", text))
    assert all(word in message for word in words), message


def test_unreadable_files(tmp_path):
    assert "does not exist" in error_of(tmp_path / "none.csv")
    assert "cannot be read" in error_of(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in error_of(tmp_path / "binary")


def test_range_that_leaves_too_little(tmp_path):
    path = write(tmp_path / "g.txt", "0.5 0\n1.5 0\n2.5 0\n3.5 1\n4.5 1\n")
    assert "kept from r = 3 to 9, must have at least 3" in error_of(path, range=(3.0, 9.0))
    assert "zero everywhere" in error_of(path, range=(0.0, 2.5))
    with pytest.raises(InputError, match="0 <= smallest < largest"):
        RDF.from_file(path, PAIR, range=(2.0, 1.0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"g": [1.0, 1.0]}, "one value of 'g' for each of its 3"),
        ({"g": [[1.0, 1.0, 1.0]]}, "one-dimensional array 'g'"),
        ({"pair": "AA"}, "names of two species"),
        ({"pair": ("A", "")}, "names of two species"),
        ({"weight": 0.0}, "positive, finite weight"),
        ({"weight": float("nan")}, "positive, finite weight"),
        ({"bin_weights": [1.0, -1.0, 1.0]}, "bin weights"),
        ({"bin_weights": [0.0, 0.0, 0.0]}, "bin weights"),
        ({"bin_weights": [1.0]}, "one value of 'bin_weights'"),
        ({"r": [0.5, 2.5, 1.5]}, "pair A-A, point 3, has r = 1.5 after r = 2.5"),
        ({"r": [], "g": []}, "at least 3 points, but it has 0"),
    ],
)
def test_bad_arguments(change, words):
    arguments = {"r": [0.5, 1.5, 2.5], "g": [0.0, 1.0, 1.0], "pair": PAIR} | change
    with pytest.raises(InputError, match=words):
        RDF(**arguments)


def test_targets_cannot_be_changed():
    target = RDF(r=[0.5, 1.5, 2.5], g=[0.0, 1.0, 1.0], pair=PAIR)
    with pytest.raises(AttributeError):
        target.weight = 2.0
    with pytest.raises(ValueError, match="read-only"):
        target.g[0] = 1.0


@pytest.mark.parametrize("spacing", [0.025, 0.1, 0.002, 0.3])
@pytest.mark.parametrize("first", [0, 7, 40])
@pytest.mark.parametrize("digits", [17, 6])
def test_edges_of_rounded_centres_are_multiples_of_the_spacing(spacing, first, digits):
    k = np.arange(first, first + 200)
    r = np.array([float(f"{value:.{digits}g}") for value in (k + 0.5) * spacing])
    target = RDF(r=r, g=np.ones(200), pair=PAIR)
    np.testing.assert_array_equal(target.edges, spacing * np.arange(first, first + 201))


def test_edges_of_other_grids():
    def edges(r):
        return RDF(r=r, g=np.ones(len(r)), pair=PAIR).edges

    np.testing.assert_array_equal(edges([0.0, 0.5, 1.0]), [0.0, 0.25, 0.75, 1.25])
    np.testing.assert_allclose(edges([1.03, 1.53, 2.03]), [0.78, 1.28, 1.78, 2.28], rtol=1e-15)
    np.testing.assert_allclose(edges([1.0, 2.0, 4.0]), [0.5, 1.5, 3.0, 5.0], rtol=1e-15)
    np.testing.assert_allclose(edges([0.0, 2.0, 3.0]), [0.0, 1.0, 2.5, 3.5], rtol=1e-15)
    with pytest.raises(InputError, match="first bin would start at -1"):
        edges([1.0, 5.0, 6.0])


def test_range_weights():
    r = np.array([0.5, 1.5, 2.5, 3.5])
    weights = range_weights(r, [(0.0, 1.0, 2.0), (2.5, 3.5, 0.0)])
    np.testing.assert_array_equal(weights, [2.0, 1.0, 0.0, 0.0])
    with pytest.raises(InputError, match="none in that range"):
        range_weights(r, [(4.0, 5.0, 2.0)])
    with pytest.raises(InputError, match=r"r = 1\.5 already has a weight"):
        range_weights(r, [(0.0, 2.0, 2.0), (1.0, 3.0, 2.0)])


def test_rebinning_is_exact_where_edges_coincide():
    fine = 0.005 * np.arange(801)
    edges = RDF(r=0.025 * (np.arange(120) + 8.5), g=np.ones(120), pair=PAIR).edges
    matrix = rebin_matrix(fine, edges)
    assert matrix.shape == (120, 800)
    assert set(np.unique(matrix)) == {0.0, 1.0}
    np.testing.assert_array_equal(matrix.sum(axis=1), 5.0)
    np.testing.assert_array_equal(np.flatnonzero(matrix[0]), np.arange(40, 45))


def test_rebinning_shares_bins_by_volume():
    matrix = rebin_matrix(np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.5, 2.0]))
    expected = [[1 - 0.125, (3.375 - 1) / 7], [0.0, (8 - 3.375) / 7]]
    np.testing.assert_allclose(matrix, expected, rtol=1e-15)
    fine, edges = np.linspace(0.0, 3.0, 301), np.array([0.0, 0.333, 1.001, 2.9995, 3.0])
    np.testing.assert_allclose(
        rebin_matrix(fine, edges) @ np.diff(fine**3), np.diff(edges**3), rtol=1e-12
    )


@pytest.mark.parametrize("edges", [[0.0, 1.0, 2.1], [-0.1, 1.0]])
def test_rebinning_outside_of_the_counts(edges):
    with pytest.raises(InputError, match="larger range"):
        rebin_matrix(np.array([0.0, 1.0, 2.0]), np.array(edges))


CUBE = np.array([10.0, 10.0, 10.0, 90.0, 90.0, 90.0], dtype=np.float32)
TRICLINIC = np.array([10.0, 9.0, 8.0, 70.0, 80.0, 65.0], dtype=np.float32)


def test_ideal_gas():
    random = np.random.default_rng(1)
    frames = [
        (random.random((150, 3)) * length, None, np.array([length] * 3 + [90.0] * 3))
        for length in random.uniform(9.0, 11.0, 200)
    ]
    measured = rdf_of_frames(frames, bin_edges(4.0, 0.5))
    assert measured.frames == 200
    np.testing.assert_allclose(measured.r, np.arange(0.25, 4.0, 0.5))
    assert np.all(np.abs(measured.g - 1.0) < 4.0 * measured.error)
    np.testing.assert_allclose(measured.g[2:], 1.0, atol=0.03)
    # counts of n pairs on average have the relative error 1 / sqrt(n)
    pairs = 200 * 150 * 149 / 2 * 4 / 3 * np.pi * np.diff(bin_edges(4.0, 0.5) ** 3) / 1000
    assert np.all(np.abs(np.log(measured.error * np.sqrt(pairs))) < 0.5)


def test_simple_cubic_lattice():
    lattice = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)
    box = np.array([6.0, 6.0, 6.0, 90.0, 90.0, 90.0])
    edges = bin_edges(2.4, 0.3)
    measured = rdf_of_frames([(lattice, None, box)], edges)
    assert measured.error is None
    neighbours = measured.g * 215 / 216 * 4 / 3 * np.pi * np.diff(edges**3)
    np.testing.assert_allclose(neighbours, [0, 0, 0, 6, 12, 8, 6, 24], rtol=1e-12)


def test_two_species():
    first, second = np.array([[0.1, 5.0, 5.0]]), np.array([[9.6, 5.0, 5.0], [1.2, 5.0, 5.0]])
    edges = bin_edges(2.0, 1.0)
    measured = rdf_of_frames([(first, second, CUBE)], edges)
    np.testing.assert_allclose(measured.g, 1000 / (2 * 4 / 3 * np.pi * np.array([1, 7])), rtol=1e-6)


def test_intermolecular_rdf_of_an_ideal_gas_is_one():
    # three molecules of forty atoms anywhere, and thirty in no molecule
    random = np.random.default_rng(4)
    numbers = np.concatenate([np.repeat([1, 2, 3], 40), -np.arange(1, 31)])
    first, second = np.arange(150) % 3 == 0, np.arange(150) % 3 > 0
    edges = bin_edges(4.0, 0.5)
    positions = [random.random((150, 3)) * 10.0 for _ in range(100)]
    for a, b in ((first, first), (first, second)):
        same_species = a is b
        frames = [(x[a], None if same_species else x[b], CUBE) for x in positions]
        measured = rdf_of_frames(frames, edges, (numbers[a], numbers[b]))
        pairs = a[:, None] & b & (numbers[:, None] != numbers)
        n_pairs = pairs.sum() / (2 if same_species else 1)
        error = 1 / np.sqrt(100 * n_pairs * 4 / 3 * np.pi * np.diff(edges**3) / 1000)
        assert error.min() < 0.02
        assert np.all(np.abs(measured.g - 1.0) < 4 * error)
    with pytest.raises(InputError, match="all atoms of the pair are in one molecule"):
        rdf_of_frames([(positions[0][:9], None, CUBE)], edges, (numbers[:9], numbers[:9]))


@pytest.mark.parametrize("range", [1.5, 3.25])  # by the grid and by all pairs
def test_triclinic_box_against_all_images(range):
    from MDAnalysis.lib.mdamath import triclinic_vectors

    random = np.random.default_rng(2)
    vectors = triclinic_vectors(TRICLINIC).astype(float)
    positions = (random.random((120, 3)) @ vectors).astype(np.float32)
    edges = bin_edges(range, 0.25)
    measured = rdf_of_frames([(positions, None, TRICLINIC)], edges)
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3) @ vectors
    delta = positions[:, None, None] - positions[None, :, None] - shifts
    counts, _ = np.histogram(np.linalg.norm(delta[~np.eye(120, dtype=bool)], axis=-1), bins=edges)
    expected = counts / 2 * np.linalg.det(vectors) / (120 * 119 / 2)
    np.testing.assert_allclose(
        measured.g, expected / (4 / 3 * np.pi * np.diff(edges**3)), rtol=1e-5
    )


def test_range_beyond_half_the_width_of_the_box():
    positions = np.zeros((2, 3))
    with pytest.raises(InputError, match=r"in frame 0 .* range is 5\.5 and half the width is 5;"):
        rdf_of_frames([(positions, None, CUBE)], bin_edges(5.5, 0.5))
    rdf_of_frames([(positions, None, CUBE)], bin_edges(5.0, 0.5))
    with pytest.raises(InputError, match="choose a smaller range"):  # shortest edge 8, width 7.0
        rdf_of_frames([(positions, None, TRICLINIC)], bin_edges(4.0, 0.5))


def test_no_frames_and_odd_bins():
    with pytest.raises(InputError, match="at least one frame"):
        rdf_of_frames([], bin_edges(2.0, 0.5))
    with pytest.raises(InputError, match=r"whole number of bins, but 2 is 3\.33333 bins of 0\.6"):
        bin_edges(2.0, 0.6)
    with pytest.raises(InputError, match="must be positive"):
        bin_edges(2.0, 0.0)


DATA = """LAMMPS data file

3 atoms
2 atom types

0.0 10.0 xlo xhi
0.0 10.0 ylo yhi
0.0 10.0 zlo zhi

Masses

1 1.0
2 2.0

Atoms # molecular

1 1 1 1.0 1.0 1.0
2 1 2 2.0 1.0 1.0
3 2 1 5.0 1.0 1.0
"""


def test_topology_from_a_data_file(tmp_path):
    import MDAnalysis

    universe = MDAnalysis.Universe.empty(3, trajectory=True)
    universe.dimensions = CUBE
    with MDAnalysis.Writer(str(tmp_path / "t.dcd"), n_atoms=3) as writer:
        for x in (2.0, 3.0):
            universe.atoms.positions = [[1, 1, 1], [x, 1, 1], [9, 1, 1]]
            writer.write(universe.atoms)
    universe = read_trajectory(tmp_path / "t.dcd", write(tmp_path / "t.data", DATA))
    frames = list(frames_of(universe, ("1", "2"), "types", slice(1, None)))
    assert len(frames) == 1
    np.testing.assert_allclose(frames[0][0], [[1, 1, 1], [9, 1, 1]])
    np.testing.assert_allclose(frames[0][1], [[3, 1, 1]])
    with pytest.raises(InputError, match="does not say the names"):
        next(frames_of(universe, ("A", "A"), "names", slice(None)))
    with pytest.raises(InputError, match=r"at least 2 atoms with '2' .* has 1; it knows .* 1, 2"):
        next(frames_of(universe, ("2", "2"), "types", slice(None)))
    for text, words in (("", "behind its title"), (" # dipole", "'Atoms # dipole' was found")):
        write(tmp_path / "t.data", DATA.replace(" # molecular", text))
        with pytest.raises(InputError, match=words):
            read_trajectory(tmp_path / "t.dcd", tmp_path / "t.data")


def test_molecules_of_topologies(tmp_path):
    import MDAnalysis

    def molecules(universe, pair, attribute="types"):
        (first, second), source = molecules_of(universe, pair, attribute)
        return first.tolist(), second.tolist(), source

    dump = "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n3\nITEM: BOX BOUNDS pp pp pp\n"
    dump += 3 * "0 10\n" + "ITEM: ATOMS id type x y z\n1 1 0 0 0\n2 2 1 0 0\n3 1 2 0 0\n"
    write(tmp_path / "t.dump", dump)
    data = write(tmp_path / "t.data", DATA)
    universe = read_trajectory(tmp_path / "t.dump", data)
    assert molecules(universe, ("1", "2")) == ([1, 2], [1], "molecule IDs")
    # atoms with the ID 0 are in no molecule, and not in one together
    write(data, DATA.replace("\n1 1 1", "\n1 0 1").replace("\n2 1 2", "\n2 0 2"))
    first, second, _ = molecules(read_trajectory(tmp_path / "t.dump", data), ("1", "2"))
    assert first[0] < 0 and second[0] < 0 and first[0] != second[0]
    with pytest.raises(InputError, match="by its molecule IDs the trajectory is one molecule"):
        molecules_of(read_trajectory(tmp_path / "t.dump", None), ("1", "1"), "types")

    universe = MDAnalysis.Universe.empty(3, n_residues=2, atom_resindex=[0, 0, 1], trajectory=True)
    universe.add_TopologyAttr("types", ["1", "2", "1"])
    assert molecules(universe, ("1", "1")) == ([0, 1], [0, 1], "residues")
    universe.add_TopologyAttr("bonds", [(1, 2)])
    first, second, source = molecules(universe, ("1", "2"))
    assert (first[1] == second[0], first[0] != second[0], source) == (True, True, "bonds")
    universe.add_TopologyAttr("molnums", [7, 7])
    with pytest.raises(InputError, match="by its molecule numbers the trajectory is one molecule"):
        molecules_of(universe, ("1", "2"), "types")


def test_a_g_of_r_up_to_half_of_a_box():
    r = 0.05 * (0.5 + np.arange(100))
    whole = RDF(r, np.ones(100), ("A", "B"), error=0.1 * r, bin_weights=r, atoms=500, norm="N")
    cut = whole.within(2.51)
    # the bin that ends at 2.5 is the last one
    assert cut.edges[-1] == pytest.approx(2.5) and len(cut.g) == 50
    assert np.array_equal(cut.error, 0.1 * r[:50]) and np.array_equal(cut.bin_weights, r[:50])
    assert (cut.atoms, cut.norm, cut.pair) == (500, "N", ("A", "B"))
    assert whole.within(5.0) is whole and whole.first(200) is whole
    # nothing that could be compared: left to the error that says so
    assert whole.within(0.1) is whole


def test_what_is_known_of_the_errors_of_a_g_of_r():
    r = 0.05 * (0.5 + np.arange(100))
    g = np.linspace(0.0, 1.0, 100)
    unknown, box, experiment = (
        RDF(r, g, ("A", "A"), atoms=atoms, norm=norm)
        for atoms, norm in ((None, None), (1000, "N-1"), (np.inf, None))
    )
    assert unknown.common_errors(500)[:, 0] == pytest.approx(g / 500)
    assert not box.common_errors(500).any()
    assert experiment.common_errors(500)[:, 0] == pytest.approx(1e-3 * g)
    assert box.from_frames and not unknown.from_frames and not experiment.from_frames
    # an experiment stays one in a box of the simulation's number of atoms
    in_a_box = replace(experiment, atoms=864, norm="N-1")
    assert not in_a_box.from_frames
    assert in_a_box.common_errors(500)[:, 0] == pytest.approx(1e-3 * g)
    # a factor and a constant that are to be fitted are as good as free
    free = replace(box, scale_error=0.05, offset_error=0.03)
    assert free.common_errors(500) == pytest.approx(
        np.stack([0.05 * g, np.full(100, 0.03)], axis=1)
    )
    for key in ("scale_error", "offset_error", "smearing"):
        with pytest.raises(InputError, match=f"needs a {key} that is zero or more, but -1"):
            replace(box, **{key: -1.0})


def test_an_unknown_norm_is_as_wrong_as_the_tail():
    """A damped oscillation about 1.01; two periods beyond the first maximum it is hardly seen."""
    r = 0.02 * (0.5 + np.arange(200))

    def liquid(level):
        wave = np.cos(2.0 * np.pi * (r - 1.05)) * np.exp(-2.0 * (r - 1.05))
        return np.where(r > 0.9, level * (1.0 + 0.4 * wave), 0.0)

    for level, error in ((1.01, 0.01), (1.0, 1e-3), (0.97, 0.03)):
        target = RDF(r, liquid(level), ("A", "A"))
        assert target.common_errors(1000)[:, 0] == pytest.approx(error * target.g, rel=0.25)
        # nobody measured as far as that
        norm = target.first(120).common_errors(1000)[:, 0]
        assert norm == pytest.approx(1e-3 * target.g[:120])


def test_a_smeared_curve_is_that_of_a_gaussian_of_the_distance():
    """A peak becomes wider by the smearing, a constant stays, and the ends are no special case."""
    edges = 0.02 * np.arange(201)
    centres = 0.5 * (edges[1:] + edges[:-1])
    matrix = smearing_matrix(edges, 0.05)
    assert matrix.sum(axis=1) == pytest.approx(np.ones(200))
    peak = np.exp(-0.5 * ((centres - 2.0) / 0.1) ** 2)
    wider = np.hypot(0.1, 0.05)
    expected = 0.1 / wider * np.exp(-0.5 * ((centres - 2.0) / wider) ** 2)
    assert matrix @ peak == pytest.approx(expected, abs=6e-3)
    assert np.array_equal(smearing_matrix(edges, 0.0), np.eye(200))


def test_the_simulation_is_smeared_as_the_target_is():
    r = 0.05 * (0.5 + np.arange(60))
    plain = RDF(r, np.ones(60), ("A", "A"))
    smeared = RDF(r, np.ones(60), ("A", "A"), smearing=0.04)
    pairs = np.random.default_rng(1).poisson(50.0, (4, 1, 60)).astype(float)
    found = Frames(
        counts=np.zeros((4, 1, 3)),
        virial=np.zeros((4, 1, 3)),
        distances=pairs,
        bin_width=0.05,
        atoms=np.array([100]),
        pairs=np.array([4950]),
        volume=np.full(4, 150.0),
        energy=np.zeros(4),
        pressure=np.zeros(4),
        temperature=np.ones(4),
        pressure_unit=1.0,
    )
    matrix = smearing_matrix(plain.edges, 0.04)
    assert smeared.observe(found, ["A"]) == pytest.approx(plain.observe(found, ["A"]) @ matrix.T)
    assert smeared.gather(found.edges, ["A"]) == pytest.approx(
        matrix @ plain.gather(found.edges, ["A"])
    )
    with pytest.raises(InputError, match="smearing that is zero or more"):
        RDF(r, np.ones(60), ("A", "A"), smearing=-1.0)
