#include "fix_diffsim_counts.h"

#include "intramolecular_pairs.h"
#include "counted_style.h"

#include "../kernels/pair_kernels.h"
#include "../kernels/spline.h"

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "modify.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace LAMMPS_NS;
using namespace FixConst;
using namespace diffsim;

/* ---------------------------------------------------------------------- */

FixDiffSimCounts::FixDiffSimCounts(LAMMPS *lammps, int narg, char **arg) : Fix(lammps, narg, arg)
{
  read_keywords(narg, arg);
  if (igroup != group->find("all"))
    error->all(FLERR,
               "Fix diffsim/counts: the group must be 'all', but is '{}': the energy of a frame is "
               "a sum over all atoms.",
               arg[1]);
  nevery = utils::inumeric(FLERR, arg[3], false, lmp);
  if (nevery <= 0)
    error->all(
        FLERR,
        "Fix diffsim/counts: the number of steps between frames must be positive, but is {}.",
        arg[3]);
  scalar_flag = 1;
  extscalar = 0;
  global_freq = 1;
  if (intermolecular) comm_forward = 1;
  completed = std::make_unique<Frames>();
}

/* ---------------------------------------------------------------------- */

void FixDiffSimCounts::read_keywords(int narg, char **arg)
{
  int at = 4;
  while (at < narg) {
    if (strcmp(arg[at], "rdf") == 0 && at + 2 < narg) {
      rdf_bins = utils::inumeric(FLERR, arg[at + 1], false, lmp);
      rdf_range = utils::numeric(FLERR, arg[at + 2], false, lmp);
      if (rdf_bins <= 0 || !(rdf_range > 0.0))
        error->all(FLERR,
                   "Fix diffsim/counts: 'rdf BINS RANGE' needs a positive number of bins and a "
                   "positive range, but has {} and {}.",
                   arg[at + 1], arg[at + 2]);
      at += 3;
    } else if (strcmp(arg[at], "molecule") == 0 && at + 1 < narg &&
               (strcmp(arg[at + 1], "off") == 0 || strcmp(arg[at + 1], "inter") == 0)) {
      intermolecular = strcmp(arg[at + 1], "inter") == 0;
      at += 2;
    } else {
      break;
    }
  }
  if (narg < 4 || at != narg)
    error->all(FLERR, "Fix diffsim/counts: expected 'fix ID all diffsim/counts N' and optionally "
                      "'rdf BINS RANGE' and 'molecule off' or 'molecule inter'.");
  if (intermolecular && rdf_bins == 0)
    error->all(FLERR, "Fix diffsim/counts: 'molecule inter' is about the distribution function, "
                      "which is not asked for. Add 'rdf BINS RANGE', or leave it out.");
}

/* ---------------------------------------------------------------------- */

int FixDiffSimCounts::setmask()
{
  return END_OF_STEP | POST_RUN;
}

/* ---------------------------------------------------------------------- */

void FixDiffSimCounts::init()
{
  pair = force->pair_match("diffsim", 1);
  counted = dynamic_cast<CountedStyle *>(pair);
  if (!pair && force->pair_match("diffsim", 1, 1))
    error->all(FLERR, "Fix diffsim/counts: pair style hybrid holds more than one diffsim style; "
                      "the pair counts of one potential only can be recorded.");
  if (!pair && rdf_bins == 0)
    error->all(FLERR,
               "Fix diffsim/counts: without pair_style diffsim there are no pair counts. Use "
               "that pair style, or ask for a distribution function with 'rdf BINS RANGE'.");
  if (domain->dimension != 3)
    error->all(FLERR, "Fix diffsim/counts: the simulation must be three-dimensional.");
  if (pair && !pair->compute_flag)
    error->all(FLERR,
               "Fix diffsim/counts: 'pair_modify compute no' turns the potential off, and its "
               "pair counts would describe an energy that is not there. Remove it.");
  if (pair && strcmp(force->pair_style, "hybrid/scaled") == 0)
    error->all(FLERR,
               "Fix diffsim/counts: pair style hybrid/scaled multiplies the energy by a factor "
               "that the pair counts do not know. Use hybrid or hybrid/overlay.");
  check_potential();
  if (intermolecular && !atom->molecule_flag)
    error->all(FLERR,
               "Fix diffsim/counts: 'molecule inter' needs molecule IDs, but atoms of atom_style "
               "{} have none. Use a style that has them, as 'full', or 'fix property/atom mol'.",
               atom->get_style());
  energy = modify->get_compute_by_id("thermo_pe");
  pressure = modify->get_compute_by_id("thermo_press");
  temperature = modify->get_compute_by_id("thermo_temp");
  if (!energy || !pressure || !temperature)
    error->all(FLERR, "Fix diffsim/counts: the computes thermo_pe, thermo_press and thermo_temp, "
                      "which LAMMPS makes itself, are not there. Do not delete them.");
  if (rdf_bins > 0) {
    // atoms of other processes must be known as far as the histogram reaches; communication is set
    // up after the fixes
    const double needed = rdf_range + neighbor->skin;
    if (comm->cutghostuser < needed) {
      if (comm->me == 0)
        utils::logmesg(lmp,
                       "Fix diffsim/counts: ghost atoms are kept up to {:.6g}, for the range of "
                       "the distribution function\n",
                       needed);
      comm->cutghostuser = needed;
    }
    histogram = std::make_unique<RdfHistogram>(atom->ntypes, rdf_bins, rdf_range / rdf_bins);
  }
  // a run begins at its first step; rerun comes here again for every later snapshot
  const bool begins = update->ntimestep == update->firststep;
  if (!current || begins || (pair && counted->revision() != potential)) new_frames();
}

/* ----------------------------------------------------------------------
   the pair counts give the energy of the tables
------------------------------------------------------------------------- */

void FixDiffSimCounts::check_potential() const
{
  const char *const reason = pair ? counted->other_than_basis() : nullptr;
  if (reason)
    error->all(
        FLERR,
        "Fix diffsim/counts: the pair counts give the energy of the tabulated potential, but "
        "{}. Remove that, or the fix.",
        reason);
}

/* ---------------------------------------------------------------------- */

std::array<double, 3> FixDiffSimCounts::box_widths() const
{
  // the distances of opposite faces are the inverse lengths of the reciprocal vectors
  const double *const h_inv = domain->h_inv;
  return {1.0 / std::sqrt(h_inv[0] * h_inv[0] + h_inv[5] * h_inv[5] + h_inv[4] * h_inv[4]),
          1.0 / std::sqrt(h_inv[1] * h_inv[1] + h_inv[3] * h_inv[3]), 1.0 / h_inv[2]};
}

/* ----------------------------------------------------------------------
   the range must be covered by ghost atoms, and be less than half of the box: beyond, an atom meets
   two images of another one and the histogram is no distribution function any more
------------------------------------------------------------------------- */

void FixDiffSimCounts::check_range() const
{
  if (rdf_bins == 0) return;
  // in a triclinic box cutghost is a fraction of the box
  const std::array<double, 3> widths = box_widths();
  double reach = std::numeric_limits<double>::infinity();
  for (int d = 0; d < 3; d++)
    reach = std::min(reach, comm->cutghost[d] * (domain->triclinic ? widths[d] : 1.0));
  // ghosts are chosen anew only after atoms moved by half of the skin
  const double needed = rdf_range + neighbor->skin;
  if (reach < needed * (1.0 - 1.0e-12))
    error->all(FLERR,
               "Fix diffsim/counts: the range {} of the distribution function plus the neighbor "
               "skin exceeds the distance {} to which ghost atoms are known. Add 'comm_modify "
               "cutoff {}' to the input script.",
               rdf_range, reach, needed);
  check_box();
}

/* ---------------------------------------------------------------------- */

void FixDiffSimCounts::check_box() const
{
  const std::array<double, 3> widths = box_widths();
  for (int d = 0; d < 3; d++)
    if (domain->periodicity[d] && rdf_range > 0.5 * widths[d])
      error->all(
          FLERR,
          "Fix diffsim/counts: the range {} of the distribution function exceeds half of the "
          "box, which is {} wide in direction {}. Use a smaller range or a larger box.",
          rdf_range, widths[d], "xyz"[d]);
}

/* ---------------------------------------------------------------------- */

void FixDiffSimCounts::new_frames()
{
  current = std::make_unique<Frames>();
  current->ntypes = atom->ntypes;
  current->basis = pair ? counted->basis() : 0;
  potential = pair ? counted->revision() : 0;
  current->rdf_bins = rdf_bins;
  current->rdf_width = rdf_bins ? rdf_range / rdf_bins : 0.0;
  current->pressure_unit = force->nktv2p;
  current->atoms = atoms_of_types();
  current->pairs = pairs_of_types();
}

/* ---------------------------------------------------------------------- */

std::vector<std::int64_t> FixDiffSimCounts::atoms_of_types() const
{
  std::vector<std::int64_t> local(atom->ntypes, 0), total(atom->ntypes, 0);
  for (int i = 0; i < atom->nlocal; i++) local[atom->type[i] - 1]++;
  MPI_Allreduce(local.data(), total.data(), atom->ntypes, MPI_INT64_T, MPI_SUM, world);
  return total;
}

/* ----------------------------------------------------------------------
   numbers of pairs of atoms that the histogram counts, at whatever distance
------------------------------------------------------------------------- */

std::vector<std::int64_t> FixDiffSimCounts::pairs_of_types() const
{
  const std::vector<std::int64_t> n = atoms_of_types();
  std::vector<std::int64_t> pairs;
  for (size_t a = 0; a < n.size(); a++)
    for (size_t b = a; b < n.size(); b++)
      pairs.push_back(a == b ? n[a] * (n[a] - 1) / 2 : n[a] * n[b]);
  if (intermolecular) {
    const std::vector<std::int64_t> molecule(atom->molecule, atom->molecule + atom->nlocal);
    const std::vector<std::int64_t> within =
        intramolecular_pairs(atom->nlocal, atom->type, molecule.data(), atom->ntypes, world);
    for (size_t p = 0; p < pairs.size(); p++) pairs[p] -= within[p];
  }
  return pairs;
}

/* ----------------------------------------------------------------------
   molecules of local and ghost atoms; fix property/atom tells ghosts only if it is asked to
------------------------------------------------------------------------- */

void FixDiffSimCounts::find_molecules()
{
  molecules.resize(atom->nlocal + atom->nghost);
  std::copy_n(atom->molecule, atom->nlocal, molecules.begin());
  comm->forward_comm(this);
}

int FixDiffSimCounts::pack_forward_comm(int n, int *list, double *buf, int /*pbc_flag*/,
                                        int * /*pbc*/)
{
  for (int k = 0; k < n; k++) buf[k] = ubuf(molecules[list[k]]).d;
  return n;
}

void FixDiffSimCounts::unpack_forward_comm(int n, int first, double *buf)
{
  for (int k = 0; k < n; k++) molecules[first + k] = ubuf(buf[k]).i;
}

/* ----------------------------------------------------------------------
   called once before a run, and before every snapshot of a rerun
------------------------------------------------------------------------- */

void FixDiffSimCounts::setup(int /*vflag*/)
{
  check_range();
  modify->addstep_compute_all((update->ntimestep / nevery + 1) * nevery);
}

/* ---------------------------------------------------------------------- */

void FixDiffSimCounts::end_of_step()
{
  if (update->whichflag != 1) return;    // the steps of a minimizer are no ensemble
  if (!current) new_frames();            // a run with "pre no" begins without init
  if (rdf_bins > 0) check_box();         // it may have shrunk
  check_potential();                     // fix adapt may have changed a scale
  Frames &frames = *current;
  const size_t pairs = unordered_pairs(atom->ntypes);
  const Atoms atoms = {atom->nlocal ? atom->x[0] : nullptr, atom->type, atom->nlocal,
                       atom->nlocal + atom->nghost};

  frames.frames++;
  frames.step.push_back(update->ntimestep);
  frames.volume.push_back(domain->xprd * domain->yprd * domain->zprd);
  frames.energy.push_back(energy->compute_scalar());
  frames.temperature.push_back(temperature->compute_scalar());
  frames.pressure.push_back(pressure->compute_scalar());
  if (pair) {
    const size_t before = frames.counts.size();
    frames.counts.resize(before + pairs * frames.basis, 0.0);
    frames.virial.resize(before + pairs * frames.basis, 0.0);
    counted->add_counts(frames.counts.data() + before, frames.virial.data() + before);
  }
  if (histogram) {
    frames.rdf.resize(frames.rdf.size() + pairs * rdf_bins, 0.0);
    if (intermolecular) find_molecules();
    histogram->add(atoms, intermolecular ? molecules.data() : nullptr,
                   frames.rdf.data() + frames.rdf.size() - pairs * rdf_bins);
  }
  modify->addstep_compute_all(update->ntimestep + nevery);
}

/* ----------------------------------------------------------------------
   complete the frames of this run: one sum over the processes
------------------------------------------------------------------------- */

namespace {

void sum_over_processes(std::vector<double> &values, MPI_Comm world)
{
  // MPI counts are ints; a long run has more numbers than that
  constexpr size_t PIECE = 1 << 27;
  for (size_t first = 0; first < values.size(); first += PIECE)
    MPI_Allreduce(MPI_IN_PLACE, values.data() + first,
                  static_cast<int>(std::min(PIECE, values.size() - first)), MPI_DOUBLE, MPI_SUM,
                  world);
}

}    // namespace

void FixDiffSimCounts::post_run()
{
  if (!current) return;
  if (atoms_of_types() != current->atoms)
    error->all(FLERR, "Fix diffsim/counts: the number of atoms changed during the run; its frames "
                      "do not belong to one ensemble. Keep the atoms, or find out why they are "
                      "lost.");
  if (intermolecular && pairs_of_types() != current->pairs)
    error->all(FLERR,
               "Fix diffsim/counts: the molecule IDs changed during the run; its frames do "
               "not belong to one ensemble. Keep the molecules, or leave out 'molecule inter'.");
  sum_over_processes(current->counts, world);
  sum_over_processes(current->virial, world);
  sum_over_processes(current->rdf, world);

  if (completed->frames == 0) {
    completed.swap(current);
    completed_potential = potential;
  } else {
    if (completed_potential != potential || completed->basis != current->basis ||
        completed->atoms != current->atoms)
      error->all(FLERR, "Fix diffsim/counts: the potential or the number of atoms changed "
                        "since an earlier run whose frames have not been taken. Define the fix "
                        "anew before such a change.");
    if (completed->pairs != current->pairs)
      error->all(FLERR, "Fix diffsim/counts: the molecule IDs changed since an earlier run whose "
                        "frames have not been taken. Define the fix anew before such a change.");
    append(*completed, *current);
  }
  current.reset();
}

/* ---------------------------------------------------------------------- */

std::unique_ptr<Frames> FixDiffSimCounts::take_frames()
{
  auto frames = std::make_unique<Frames>();
  frames.swap(completed);
  return frames;
}

/* ----------------------------------------------------------------------
   number of completed frames
------------------------------------------------------------------------- */

double FixDiffSimCounts::compute_scalar()
{
  return completed->frames;
}

/* ---------------------------------------------------------------------- */

double FixDiffSimCounts::memory_usage()
{
  auto bytes = static_cast<double>(molecules.capacity() * sizeof(std::int64_t));
  for (const auto *frames : {completed.get(), current.get()})
    if (frames)
      bytes += static_cast<double>(frames->counts.capacity() + frames->virial.capacity() +
                                   frames->rdf.capacity()) *
               sizeof(double);
  return bytes;
}
