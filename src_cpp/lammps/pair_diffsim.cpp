#include "pair_diffsim.h"

#include "../kernels/pair_kernels.h"
#include "../kernels/spline.h"
#include "../potential/knots_file.h"
#include "../potential/torchscript.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

using namespace LAMMPS_NS;
using namespace diffsim;

static constexpr double DEFAULT_TOLERANCE = 1.0e-5;

/* ---------------------------------------------------------------------- */

PairDiffSim::PairDiffSim(LAMMPS *lammps) : Pair(lammps), tolerance(DEFAULT_TOLERANCE)
{
  one_coeff = 1;
  restartinfo = 0;
  centroidstressflag = CENTROID_SAME;
  writedata = 0;
}

/* ---------------------------------------------------------------------- */

PairDiffSim::~PairDiffSim()
{
  if (allocated) {
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::allocate()
{
  const int n = atom->ntypes;
  memory->create(setflag, n + 1, n + 1, "pair:setflag");
  memory->create(cutsq, n + 1, n + 1, "pair:cutsq");
  for (int i = 1; i <= n; i++)
    for (int j = 1; j <= n; j++) setflag[i][j] = 0;
  allocated = 1;
}

/* ----------------------------------------------------------------------
   pair_style diffsim [eval table] [tolerance E] [device cpu]
------------------------------------------------------------------------- */

void PairDiffSim::settings(int narg, char **arg)
{
  tolerance = DEFAULT_TOLERANCE;
  for (int iarg = 0; iarg < narg; iarg += 2) {
    const std::string keyword = arg[iarg];
    if (iarg + 1 == narg)
      error->all(FLERR, "Pair style diffsim: the keyword {} has no value. {}", keyword,
                 "The syntax is: pair_style diffsim [eval table] [tolerance E] [device cpu].");
    const std::string value = arg[iarg + 1];
    if (keyword == "tolerance") {
      tolerance = utils::numeric(FLERR, value, false, lmp);
      if (!(tolerance > 0.0))
        error->all(FLERR,
                   "Pair style diffsim: the tolerance must be a positive number, but is {}. It is "
                   "the largest relative deviation of the simulated spline from the model.",
                   value);
    } else if (keyword == "eval") {
      if (value != "table")
        error->all(FLERR, "Pair style diffsim: eval must be 'table' in this version, but is '{}'.",
                   value);
    } else if (keyword == "device") {
      if (value != "cpu")
        error->all(FLERR, "Pair style diffsim: device must be 'cpu' in this version, but is '{}'.",
                   value);
    } else {
      error->all(FLERR,
                 "Pair style diffsim: unknown keyword '{}'. The keywords are eval, tolerance and "
                 "device.",
                 keyword);
    }
  }
}

/* ----------------------------------------------------------------------
   the knots as text (that of a knots file) and a line about them; on one process
------------------------------------------------------------------------- */

std::string PairDiffSim::read_potential(const std::string &path, std::string &report) const
{
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw PotentialError("The model file " + path + " cannot be opened (" + std::strerror(errno) +
                         "). Give the path of a TorchScript archive or of a knots file.");
  char head[2] = {'\0', '\0'};
  file.read(head, 2);
  const bool archive = head[0] == 'P' && head[1] == 'K';    // a zip file
  file.clear();
  file.seekg(0);

  Knots found;
  if (archive) {
    const auto model = open_torchscript(path);
    SplineError largest;
    found = tabulate(*model, tolerance, largest);
    report =
        fmt::format("  spline error relative to the model: energy {:.2e} at r = {:.6g}, force "
                    "{:.2e} at r = {:.6g} (tolerance {:.2e})\n",
                    largest.energy, largest.energy_at, largest.force, largest.force_at, tolerance);
  } else {
    try {
      found = read_knots(file, path);
    } catch (const PotentialError &e) {
      throw PotentialError("The file " + path +
                           " is not a TorchScript archive (a zip file written by torch.jit.save), "
                           "and cannot be read as a knots file: " +
                           e.what());
    }
  }
  std::ostringstream text;
  write_knots(text, found);
  return text.str();
}

/* ----------------------------------------------------------------------
   pair_coeff * * file A B ...
   One process reads the file, whatever it is: the others cannot miss it or see another version.
------------------------------------------------------------------------- */

void PairDiffSim::coeff(int narg, char **arg)
{
  if (narg != 3 + atom->ntypes || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0)
    error->all(FLERR,
               "Pair style diffsim: expected 'pair_coeff * * FILE' and one species name (or NULL) "
               "for each of the {} atom types, found {} words after pair_coeff.",
               atom->ntypes, narg);
  if (!allocated) allocate();

  std::string text, report;
  int failed = 0;
  if (comm->me == 0) {
    try {
      // as for other potentials, also in the folders of LAMMPS_POTENTIALS
      const std::string found = utils::get_potential_file_path(arg[2]);
      text = read_potential(found.empty() ? arg[2] : found, report);
    } catch (const std::exception &e) {
      failed = 1;
      text = e.what();
    }
  }
  int length = static_cast<int>(text.size());
  MPI_Bcast(&failed, 1, MPI_INT, 0, world);
  MPI_Bcast(&length, 1, MPI_INT, 0, world);
  text.resize(length);
  MPI_Bcast(text.data(), length, MPI_CHAR, 0, world);
  if (failed) error->all(FLERR, "Pair style diffsim: {}", text);

  std::istringstream in(text);
  try {
    knots = read_knots(in, arg[2]);
  } catch (const PotentialError &e) {    // the same text on every process
    error->all(FLERR, "Pair style diffsim: {}", e.what());
  }
  if (knots.units != update->unit_style)
    error->all(FLERR,
               "Pair style diffsim: the model {} is in '{}' units, but the simulation uses 'units "
               "{}'. Use the model's units in the input script, or convert the model.",
               arg[2], knots.units, update->unit_style);
  map_species(narg - 3, arg + 3);
  tables = make_tables(knots, species_of_type);
  static int readings = 0;    // of all instances: a later one must not look like an earlier one
  reads = ++readings;

  if (comm->me == 0) {
    utils::logmesg(lmp, "Pair style diffsim: {} with {} knots in r^2, cutoff {:.6g} {}\n", arg[2],
                   knots.knots, knots.cutoff, knots.units);
    const int n = static_cast<int>(knots.species.size());
    for (int a = 0, pair = 0; a < n; a++)
      for (int b = a; b < n; b++, pair++) {
        const double *u = knots.pair_values(pair);
        utils::logmesg(lmp, "  {}: from r = {:.6g} (u = {:.6g}) to the cutoff (u = {:.3g})\n",
                       pair_name(knots.species, a, b), knots.inner[pair], u[0], u[knots.knots - 1]);
        if (u[1] > u[0])
          error->warning(FLERR,
                         "Pair style diffsim: the energy of {} falls towards the innermost knot at "
                         "r = {}; closer atoms will attract each other",
                         pair_name(knots.species, a, b), knots.inner[pair]);
      }
    if (!report.empty()) utils::logmesg(lmp, report);
  }
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::map_species(int ntypes, char **names)
{
  species_of_type.assign(ntypes, -1);
  for (int i = 0; i < ntypes; i++) {
    if (strcmp(names[i], "NULL") == 0) continue;
    const auto found = std::find(knots.species.begin(), knots.species.end(), names[i]);
    if (found == knots.species.end()) {
      std::string known;
      for (const auto &name : knots.species) known += (known.empty() ? "" : ", ") + name;
      error->all(FLERR,
                 "Pair style diffsim: species {} of atom type {} is not in the model, which has "
                 "the species {}. Name one of these, or NULL to leave the type to another style.",
                 names[i], i + 1, known);
    }
    species_of_type[i] = static_cast<int>(found - knots.species.begin());
  }
  int count = 0;
  for (int i = 1; i <= ntypes; i++)
    for (int j = i; j <= ntypes; j++) {
      setflag[i][j] = species_of_type[i - 1] >= 0 && species_of_type[j - 1] >= 0 ? 1 : 0;
      count += setflag[i][j];
    }
  if (count == 0)
    error->all(FLERR, "Pair style diffsim: every atom type is NULL. Name a species for at least "
                      "one of them.");
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::init_style()
{
  if (tail_flag)
    error->all(FLERR, "Pair style diffsim: 'pair_modify tail yes' has no meaning, because the "
                      "potential ends at its cutoff. Remove it.");
  neighbor->add_request(this);
  close_pairs = 0;
}

/* ---------------------------------------------------------------------- */

double PairDiffSim::init_one(int i, int j)
{
  if (setflag[i][j] == 0)
    error->all(FLERR,
               "Pair style diffsim: no potential for the atom types {} and {}. Name a species for "
               "both in pair_coeff, or use pair_style hybrid for pairs left to another style.",
               i, j);
  return knots.cutoff;
}

/* ---------------------------------------------------------------------- */

NeighborPairs PairDiffSim::neighbor_pairs() const
{
  return {list->inum, list->ilist, list->numneigh, list->firstneigh,
          NEIGHMASK,  SBBITS,      special,        force->newton_pair != 0};
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  // pair style hybrid puts a sub-style's own weights here while it computes
  std::copy_n(force->special_lj, 4, special);
  if (list->inum > 0) {
    ForceSums sums = {atom->f[0],       0.0, {0.0}, nullptr, nullptr, eflag_global != 0,
                      vflag_global != 0};
    if (eflag_atom) sums.energy_per_atom = eatom;
    if (vflag_atom) sums.virial_per_atom = vatom[0];
    const Atoms atoms = {atom->x[0], atom->type, atom->nlocal};
    close_pairs += pair_forces(atoms, neighbor_pairs(), tables.view(), sums);
    eng_vdwl += sums.energy;
    for (int k = 0; k < 6; k++) virial[k] += sums.virial[k];
  }
  if (vflag_fdotr) virial_fdotr_compute();
}

/* ---------------------------------------------------------------------- */

double PairDiffSim::single(int /*i*/, int /*j*/, int itype, int jtype, double rsq,
                           double /*factor_coul*/, double factor_lj, double &fforce)
{
  const PairTablesView view = tables.view();
  const int table = view.table(itype, jtype);
  fforce = 0.0;
  if (table < 0 || rsq >= view.grid[table].s_cutoff) return 0.0;
  const SplineGrid &grid = view.grid[table];
  const SplinePosition at = spline_position(rsq, grid.s_inner, grid.inv_h, view.knots);
  double dphi_dt;
  const double phi = spline_value(view.polynomial(table, at.interval), at.t, dphi_dt);
  fforce = -2.0 * factor_lj * grid.inv_h * dphi_dt;
  return factor_lj * phi;
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::finish()
{
  std::int64_t total = 0;
  MPI_Allreduce(&close_pairs, &total, 1, MPI_INT64_T, MPI_SUM, world);
  total /= 2;    // counted from both of their atoms
  if (total > 0 && comm->me == 0)
    error->warning(FLERR,
                   "Pair style diffsim: {} times in this run a pair was closer than the innermost "
                   "knot of its potential, where the energy is continued linearly in r^2. If that "
                   "is not the start of a run, the potential has no wall there",
                   total);
}

/* ---------------------------------------------------------------------- */

double PairDiffSim::memory_usage()
{
  return Pair::memory_usage() +
         static_cast<double>((tables.polynomials.size() + knots.values.size()) * sizeof(double));
}
