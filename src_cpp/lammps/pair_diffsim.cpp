#include "pair_diffsim.h"

#include "first_failure.h"

#include "../kernels/pair_loop.h"
#include "../potential/exact_pairs.h"

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
#include <cmath>
#include <cstdlib>
#include <cstring>

using namespace LAMMPS_NS;
using namespace diffsim;

static constexpr double DEFAULT_TOLERANCE = 1.0e-5;
static constexpr const char *INSTRUCTIONS_VARIABLE = "DIFFSIM_INSTRUCTIONS";

/* ----------------------------------------------------------------------
   the fastest instructions, or those that the user wants for a comparison
------------------------------------------------------------------------- */

static Instructions choose_instructions(LAMMPS *lmp)
{
  const char *const wanted = std::getenv(INSTRUCTIONS_VARIABLE);
  Instructions chosen = fastest_instructions();
  std::string problem;
  try {
    if (wanted && *wanted) chosen = instructions_named(wanted);
  } catch (const std::invalid_argument &e) {
    problem = fmt::format("Pair style diffsim: the environment variable {}: {}.",
                          INSTRUCTIONS_VARIABLE, e.what());
  }
  // the processors of a job need not be alike
  stop_with_first(lmp, problem);
  return chosen;
}

/* ---------------------------------------------------------------------- */

PairDiffSim::PairDiffSim(LAMMPS *lammps) :
    Pair(lammps), style({DEFAULT_TOLERANCE, 0, 0}), forces(choose_instructions(lammps))
{
  one_coeff = 1;
  centroidstressflag = CENTROID_SAME;
  writedata = 0;
}

/* ---------------------------------------------------------------------- */

PairDiffSim::~PairDiffSim()
{
  if (allocated) {
    memory->destroy(setflag);
    memory->destroy(cutsq);
    memory->destroy(scale);
  }
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::allocate()
{
  const int n = atom->ntypes;
  memory->create(setflag, n + 1, n + 1, "pair:setflag");
  memory->create(cutsq, n + 1, n + 1, "pair:cutsq");
  memory->create(scale, n + 1, n + 1, "pair:scale");
  for (int i = 1; i <= n; i++)
    for (int j = 1; j <= n; j++) {
      setflag[i][j] = 0;
      scale[i][j] = 1.0;
    }
  allocated = 1;
}

/* ----------------------------------------------------------------------
   a potential that was read with other settings does not hold any longer
------------------------------------------------------------------------- */

void PairDiffSim::forget_potential()
{
  if (!allocated) return;
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++) setflag[i][j] = 0;
}

/* ----------------------------------------------------------------------
   pair_style diffsim [eval table|exact] [tolerance E] [close wall|stop] [device cpu|cuda|cuda:N]
                      [precision single|mixed|double]
------------------------------------------------------------------------- */

void PairDiffSim::settings(int narg, char **arg)
{
  style = {DEFAULT_TOLERANCE, 0, 0};
  device = {};
  bool with_precision = false;
  forget_potential();
  for (int iarg = 0; iarg < narg; iarg += 2) {
    const std::string keyword = arg[iarg];
    if (iarg + 1 == narg)
      error->all(FLERR, "Pair style diffsim: the keyword {} has no value. {}", keyword,
                 "The syntax is: pair_style diffsim [eval table|exact] [tolerance E] "
                 "[close wall|stop] [device cpu|cuda|cuda:N] [precision single|mixed|double].");
    const std::string value = arg[iarg + 1];
    // true for the second of two words
    auto second_of = [&](const char *first, const char *second) {
      if (value != first && value != second)
        error->all(FLERR, "Pair style diffsim: {} must be '{}' or '{}', but is '{}'.", keyword,
                   first, second, value);
      return value == second ? 1 : 0;
    };
    if (keyword == "tolerance") {
      style.tolerance = utils::numeric(FLERR, value, false, lmp);
      if (!(style.tolerance > 0.0))
        error->all(FLERR,
                   "Pair style diffsim: the tolerance must be a positive number, but is {}. It is "
                   "the largest relative deviation of the simulated spline from the model.",
                   value);
    } else if (keyword == "eval") {
      style.exact = second_of("table", "exact");
    } else if (keyword == "close") {
      style.close_stop = second_of("wall", "stop");
    } else if (keyword == "device") {
      set_device(value);
    } else if (keyword == "precision") {
      with_precision = true;
      set_precision(value);
    } else {
      error->all(FLERR,
                 "Pair style diffsim: unknown keyword '{}'. The keywords are eval, tolerance, "
                 "close, device and precision.",
                 keyword);
    }
  }
  if (with_precision && (!device.cuda || style.exact != 0))
    error->all(FLERR,
               "Pair style diffsim: precision is that of 'device cuda' with 'eval table': the "
               "processor always computes in doubles, and a model in its own numbers. Remove "
               "it.");
  open_gpu();
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::init_style()
{
  // pair style hybrid passes the flag on to all of its styles
  if (tail_flag && force->pair == this)
    error->all(FLERR, "Pair style diffsim: 'pair_modify tail yes' has no meaning, because the "
                      "potential ends at its cutoff. Remove it.");
  if (tables_shifted != (offset_flag != 0)) make_tables();
  if (gpu_pairs)
    neighbor->add_request(this, NeighConst::REQ_FULL);
  else
    neighbor->add_request(this);
  gpu_list_built = NEVER;
  close_pairs = 0;

  const std::string line = announcement();
  if (comm->me == 0 && line != announced) utils::logmesg(lmp, line);
  announced = line;
}

/* ----------------------------------------------------------------------
   what computes; all processes call it
------------------------------------------------------------------------- */

std::string PairDiffSim::announcement() const
{
  if (style.exact)
    return fmt::format("Pair style diffsim: the model itself is evaluated for every pair{}\n",
                       device.cuda ? " by PyTorch on a GPU" : "");
  if (gpu_pairs)
    return fmt::format("Pair style diffsim: {}, {}, {} precision\n", gpu->name(), gpus_of_all(),
                       PRECISIONS[static_cast<int>(device.precision)]);
  return fmt::format("Pair style diffsim: {} kernels, {} thread{} per process\n",
                     name(forces.instructions()), comm->nthreads, comm->nthreads > 1 ? "s" : "");
}

/* ----------------------------------------------------------------------
   also called when fix adapt has changed a scale
------------------------------------------------------------------------- */

double PairDiffSim::init_one(int i, int j)
{
  if (setflag[i][j] == 0)
    error->all(FLERR,
               "Pair style diffsim: no potential for the atom types {} and {}. Name a species for "
               "both in pair_coeff, or use pair_style hybrid for pairs left to another style.",
               i, j);
  const int n = atom->ntypes + 1;
  scale[j][i] = scale[i][j];
  tables.pairs[i * n + j].scale = tables.pairs[j * n + i].scale = scale[i][j];
  gpu_has_tables = false;
  return std::sqrt(tables.pairs[i * n + j].s_cutoff);
}

/* ---------------------------------------------------------------------- */

NeighborPairs PairDiffSim::neighbor_pairs() const
{
  return {list->inum,
          list->ilist,
          list->numneigh,
          list->firstneigh,
          NEIGHMASK,
          SBBITS,
          special,
          atom->molecular != Atom::ATOMIC,
          force->newton_pair != 0 && !gpu_pairs,
          gpu_pairs != nullptr};
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  // pair style hybrid puts a sub-style's own weights here while it computes
  std::copy_n(force->special_lj, 4, special);
  if (list->inum > 0) {
    if (style.exact) {
      compute_exact();
    } else {
      compute_table();
    }
  }
  if (style.close_stop) stop_if_close();
  if (vflag_fdotr) virial_fdotr_compute();
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::compute_table()
{
  const bool by_pair = evflag != 0 && (eflag_atom != 0 || vflag_atom != 0 || num_tally_compute > 0);
  ForceSums sums = {atom->f[0], !by_pair && (eflag_global != 0 || vflag_global != 0), 0.0, {0.0}};
  const Atoms atoms = {atom->x[0], atom->type, atom->nlocal, atom->nlocal + atom->nghost};
  if (neighbor->ago == 0 && !gpu_pairs)
    sort_neighbors_by_type(neighbor_pairs(), atoms, tables.view());
  const bool close = gpu_pairs
                         ? add_on_gpu(atoms, sums)
                         : forces.add(atoms, neighbor_pairs(), tables.view(), comm->nthreads, sums);
  if (by_pair) tally_pairs();
  if (eflag_global) eng_vdwl += sums.energy;
  if (vflag_global)
    for (int k = 0; k < 6; k++) virial[k] += sums.virial[k];
  if (close) count_close_pairs();
}

/* ----------------------------------------------------------------------
   energy and virial of every pair, for per-atom values and the TALLY package
------------------------------------------------------------------------- */

void PairDiffSim::tally_pairs()
{
  const Atoms atoms = {atom->x[0], atom->type, atom->nlocal, atom->nlocal + atom->nghost};
  const NeighborPairs pairs = neighbor_pairs();
  for_each_pair(atoms, pairs, tables.view(), [&](const ListedPair &pair) {
    double fpair;
    const double phi = pair_energy(*pair.table, tables.knots, pair.rsq, fpair);
    ev_tally(pair.i, pair.j, atom->nlocal, pairs.newton_pair, pair.special * phi, 0.0,
             pair.special * fpair, pair.d[0], pair.d[1], pair.d[2]);
  });
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::compute_exact()
{
  double **const f = atom->f;
  const int nlocal = atom->nlocal;
  const int newton_pair = force->newton_pair;
  bool close = false;
  const Atoms atoms = {atom->x[0], atom->type, nlocal, nlocal + atom->nghost};
  auto add = [&](const ListedPair &pair, double energy, double fpair) {
    const int i = pair.i, j = pair.j;
    close |= pair.rsq < pair.table->s_inner;
    for (int k = 0; k < 3; k++) f[i][k] += pair.d[k] * fpair;
    if (newton_pair || j < nlocal)
      for (int k = 0; k < 3; k++) f[j][k] -= pair.d[k] * fpair;
    if (evflag)
      ev_tally(i, j, nlocal, newton_pair,
               energy -
                   pair.special * pair.table->scale * energy_shift(atom->type[i], atom->type[j]),
               0.0, fpair, pair.d[0], pair.d[1], pair.d[2]);
  };
  try {
    for_each_exact_pair(atoms, neighbor_pairs(), tables.view(), *model, species_of_type, add);
  } catch (const PotentialError &e) {
    error->one(FLERR, "Pair style diffsim: {}", e.what());
  }
  if (close) count_close_pairs();
}

/* ----------------------------------------------------------------------
   what 'pair_modify shift yes' subtracts from the model's energy
------------------------------------------------------------------------- */

double PairDiffSim::energy_shift(int itype, int jtype) const
{
  if (!offset_flag) return 0.0;
  const int pair = unordered_pair(species_of_type[itype - 1], species_of_type[jtype - 1],
                                  static_cast<int>(knots.species.size()));
  return knots.pair_values(pair)[knots.knots - 1];
}

/* ----------------------------------------------------------------------
   count the pairs closer than their innermost knot
------------------------------------------------------------------------- */

void PairDiffSim::count_close_pairs()
{
  const Atoms atoms = {atom->x[0], atom->type, atom->nlocal, atom->nlocal + atom->nghost};
  const NeighborPairs pairs = neighbor_pairs();
  for_each_pair(atoms, pairs, tables.view(), [&](const ListedPair &pair) {
    if (pair.rsq >= pair.table->s_inner || pair.special == 0.0) return;
    // without newton_pair half of a pair across a boundary belongs to either process
    close_pairs += pairs.newton_pair || pair.j < atom->nlocal ? 2 : 1;
    // both owners of a pair name its atoms in the same order
    const bool in_order = atom->tag[pair.i] < atom->tag[pair.j];
    const int i = in_order ? pair.i : pair.j, j = in_order ? pair.j : pair.i;
    closest = {atom->tag[i],  atom->tag[j],        atom->type[i],
               atom->type[j], std::sqrt(pair.rsq), std::sqrt(pair.table->s_inner)};
  });
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::stop_if_close() const
{
  std::string failure;
  if (close_pairs > 0)
    failure = fmt::format(
        "Pair style diffsim: at step {}, the atoms {} and {} of types {} and {} are {:.8g} "
        "apart, closer than the innermost knot at {:.8g}. Begin with atoms that do not "
        "overlap, use a shorter time step, or let 'close wall' continue the potential.",
        update->ntimestep, closest.tag_i, closest.tag_j, closest.type_i, closest.type_j,
        closest.distance, closest.innermost);
  stop_with_first(lmp, failure);
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::finish()
{
  std::int64_t total = 0;
  MPI_Allreduce(&close_pairs, &total, 1, MPI_INT64_T, MPI_SUM, world);
  close_pairs = 0;    // a run with 'pre no' begins without init_style
  total /= 2;         // counted from both of their atoms
  if (total > 0 && comm->me == 0)
    error->warning(FLERR,
                   "Pair style diffsim: {} times in this run a pair was closer than the innermost "
                   "knot of its potential, {}. If that is not the start of a run, the potential "
                   "has no wall there",
                   total,
                   style.exact ? "where nobody has looked at the model"
                               : "where the energy is continued linearly in r^2");
}

/* ---------------------------------------------------------------------- */

double PairDiffSim::single(int /*i*/, int /*j*/, int itype, int jtype, double rsq,
                           double /*factor_coul*/, double factor_lj, double &fforce)
{
  const PairTable &table = tables.view().pair(itype, jtype);
  fforce = 0.0;
  if (rsq >= table.s_cutoff) return 0.0;
  double energy;
  if (style.exact) {
    const double r = std::sqrt(rsq);
    const std::int64_t a = species_of_type[itype - 1], b = species_of_type[jtype - 1];
    double u, du_dr;
    try {
      model->evaluate(1, &r, &a, &b, &u, &du_dr);
    } catch (const PotentialError &e) {
      error->one(FLERR, "Pair style diffsim: {}", e.what());
    }
    energy = table.scale * (u - energy_shift(itype, jtype));
    fforce = -table.scale * du_dr / r;
  } else {
    energy = pair_energy(table, tables.knots, rsq, fforce);
  }
  fforce *= factor_lj;
  return factor_lj * energy;
}

/* ---------------------------------------------------------------------- */

void *PairDiffSim::extract(const char *what, int &dim)
{
  dim = 2;
  return strcmp(what, "scale") == 0 ? static_cast<void *>(scale) : nullptr;
}

/* ---------------------------------------------------------------------- */

int PairDiffSim::basis() const
{
  return basis_size(tables.knots);
}

/* ---------------------------------------------------------------------- */

const char *PairDiffSim::other_than_basis() const
{
  if (style.exact) return "'eval exact' evaluates the model itself";
  if (offset_flag)
    for (int pair = 0; pair < knots.pairs(); pair++)
      // knots from elsewhere may miss zero by rounding
      if (std::fabs(knots.pair_values(pair)[knots.knots - 1]) >
          1e-9 * reference_energy(knots.units))
        return "'pair_modify shift yes' changes the energy of a potential that does not end at "
               "zero";
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++)
      if (setflag[i][j] && scale[i][j] != 1.0) return "a scale factor is not one";
  return nullptr;
}

/* ---------------------------------------------------------------------- */

double PairDiffSim::memory_usage()
{
  return Pair::memory_usage() + forces.memory_usage() +
         static_cast<double>(tables.rows.size() * sizeof(SplineRow) +
                             knots.values.size() * sizeof(double));
}
