#include "fix_diffsim_trajectory.h"

#include "gather_rows.h"
#include "pair_diffsim.h"

#include "../kernels/replay.h"

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace LAMMPS_NS;
using namespace FixConst;
using namespace diffsim;

namespace {

constexpr int ROW = 7;    // numbers of an atom in a state
// of velocities; the forces of two programs differ by the order of their sums
constexpr double REPLAY_TOLERANCE = 1.0e-8;

// fixes that look on
bool passive(const char *style)
{
  constexpr const char *PREFIXES[] = {"ave/", "diffsim/", "store/", "STORE", "DUMMY"};
  constexpr const char *NAMES[] = {"print", "vector", "halt", "property/atom"};
  return std::any_of(std::begin(PREFIXES), std::end(PREFIXES),
                     [&](const char *prefix) {
                       return strncmp(style, prefix, strlen(prefix)) == 0;
                     }) ||
         std::any_of(std::begin(NAMES), std::end(NAMES),
                     [&](const char *name) { return strcmp(style, name) == 0; });
}

// Puts velocities, forces and the temperature of a thermostat back, also where it throws.
class Undisturbed {
 public:
  Undisturbed(Atom *of, Fix *thermostat, double temperature) :
      atom(of), fix(thermostat), target(temperature)
  {
    for (int i = 0; i < atom->nlocal; i++)
      for (double *const vector : {atom->v[i], atom->f[i]})
        kept.insert(kept.end(), vector, vector + 3);
  }
  ~Undisturbed()
  {
    const double *from = kept.data();
    for (int i = 0; i < atom->nlocal; i++)
      for (double *const vector : {atom->v[i], atom->f[i]}) {
        std::copy(from, from + 3, vector);
        from += 3;
      }
    fix->reset_target(target);
  }
  Undisturbed(const Undisturbed &) = delete;
  Undisturbed &operator=(const Undisturbed &) = delete;

 private:
  Atom *atom;
  Fix *fix;
  double target;
  std::vector<double> kept;    // [nlocal][2][3]
};

}    // namespace

/* ---------------------------------------------------------------------- */

FixDiffSimTrajectory::FixDiffSimTrajectory(LAMMPS *lammps, int narg, char **arg) :
    Fix(lammps, narg, arg)
{
  if (narg != 3 && (narg != 5 || strcmp(arg[3], "every") != 0))
    error->all(FLERR, "Fix diffsim/trajectory: expected 'fix ID all diffsim/trajectory' and "
                      "optionally 'every N'.");
  if (narg == 5) stride = utils::inumeric(FLERR, arg[4], false, lmp);
  if (stride <= 0)
    error->all(FLERR,
               "Fix diffsim/trajectory: the number of steps between states must be positive, but "
               "is {}.",
               stride);
  if (igroup != group->find("all"))
    error->all(
        FLERR,
        "Fix diffsim/trajectory: the group must be 'all', but is '{}': the motion of an atom "
        "depends on all others.",
        arg[1]);
  nevery = 1;
  scalar_flag = 1;
  extscalar = 0;
  global_freq = 1;
}

/* ---------------------------------------------------------------------- */

int FixDiffSimTrajectory::setmask()
{
  return END_OF_STEP | POST_RUN;
}

/* ---------------------------------------------------------------------- */

void FixDiffSimTrajectory::init()
{
  current.reset();    // of a run that failed
  if (update->whichflag != 1) return;
  pair = dynamic_cast<PairDiffSim *>(force->pair);
  if (!pair)
    error->all(
        FLERR,
        "Fix diffsim/trajectory: all forces must be those of pair_style diffsim, but the pair "
        "style is {}: others have no second derivatives here.",
        force->pair_style ? force->pair_style : "none");
  check_forces();
  find_integrator();
}

/* ----------------------------------------------------------------------
   what has no derivative here is refused by name
------------------------------------------------------------------------- */

void FixDiffSimTrajectory::check_forces() const
{
  auto refuse = [this](const std::string &what) {
    error->all(FLERR,
               "Fix diffsim/trajectory: {} cannot be differentiated. What can is pair_style "
               "diffsim alone, with run_style verlet, in three dimensions and a box that stays "
               "(fix nvt, not npt). Change that, or use targets of the structure, which need no "
               "derivatives of forces.",
               what);
  };
  const char *const reason = pair->other_than_basis();
  if (reason)
    error->all(FLERR,
               "Fix diffsim/trajectory: the derivatives are those of the tabulated potential, but "
               "{}. Remove that, or the fix.",
               reason);
  if (!pair->in_doubles())
    refuse("a trajectory of forces in floats ('precision single' or 'mixed')");
  if (!pair->compute_flag) refuse("a pair style without effect ('pair_modify compute no')");
  if (force->bond || force->angle || force->dihedral || force->improper)
    refuse("the force of bonds and angles");
  if (atom->molecular != Atom::ATOMIC) refuse("a potential with weights of bonded pairs");
  if (strcmp(update->integrate_style, "verlet") != 0)
    refuse("run_style " + std::string(update->integrate_style));
  if (domain->dimension != 3) refuse("a simulation in two dimensions");
  if (domain->box_change) refuse("a box that changes");
  // whether pairs that are left out ever come close is not known from the first and the last step
  if (neighbor->nex_type > 0 || neighbor->nex_group > 0 || neighbor->nex_mol > 0)
    refuse("a potential without the pairs of 'neigh_modify exclude'");
  if (!atom->tag_enable)
    error->all(FLERR,
               "Fix diffsim/trajectory: atoms must have IDs, which tell them apart from step to "
               "step. Remove 'atom_modify id no'.");
}

/* ---------------------------------------------------------------------- */

void FixDiffSimTrajectory::find_integrator()
{
  integrate = langevin = nullptr;
  for (Fix *fix : modify->get_fix_list()) {
    const bool nve = strcmp(fix->style, "nve") == 0, nvt = strcmp(fix->style, "nvt") == 0;
    const bool friction = strcmp(fix->style, "langevin") == 0;
    if (passive(fix->style)) continue;
    if (!nve && !nvt && !friction)
      error->all(FLERR,
                 "Fix diffsim/trajectory: fix {} of style {} cannot be differentiated. Those that "
                 "can are nve, nve with langevin, and nvt; remove the other.",
                 fix->id, fix->style);
    Fix *&place = friction ? langevin : integrate;
    if (place)
      error->all(FLERR,
                 "Fix diffsim/trajectory: both fix {} and fix {} move the atoms. Keep one of them.",
                 place->id, fix->id);
    if (fix->igroup != igroup)
      error->all(FLERR, "Fix diffsim/trajectory: fix {} must have the group 'all', but has '{}'.",
                 fix->id, group->names[fix->igroup]);
    place = fix;
  }
  if (!integrate)
    error->all(FLERR, "Fix diffsim/trajectory: no fix moves the atoms. Add fix nve or fix nvt.");
  if (langevin && strcmp(integrate->style, "nve") != 0)
    error->all(FLERR,
               "Fix diffsim/trajectory: fix langevin can be differentiated with fix nve, but "
               "not with fix nvt. Remove one of the thermostats.");
  if (langevin && stride > 1)
    error->all(
        FLERR,
        "Fix diffsim/trajectory: with 'every {}' the steps in between are computed again, but "
        "the random forces of fix {} cannot be. Leave 'every' out.",
        stride, langevin->id);
}

/* ----------------------------------------------------------------------
   state 0 of a run
------------------------------------------------------------------------- */

void FixDiffSimTrajectory::setup(int /*vflag*/)
{
  if (update->whichflag != 1) return;
  current = std::make_unique<Trajectory>();
  states.clear();
  chain_velocity.clear();
  Trajectory &t = *current;
  t.integrator = langevin ? Integrator::LANGEVIN : Integrator::NVE;
  if (strcmp(integrate->style, "nvt") == 0) t.integrator = Integrator::NOSE_HOOVER;
  first_step = update->firststep;
  t.stride = stride;
  t.dt = update->dt;
  t.force_to_acceleration = force->ftm2v;
  t.mvv_to_energy = force->mvv2e;
  t.skin = neighbor->skin;
  t.box = {domain->xprd,
           domain->yprd,
           domain->zprd,
           domain->yz,
           domain->xz,
           domain->xy,
           {domain->xperiodic != 0, domain->yperiodic != 0, domain->zperiodic != 0}};
  t.tables = pair->potential().clone();
  for (const PairTable &table : t.tables.pairs)
    t.cutoff = std::max(t.cutoff, std::sqrt(std::max(0.0, table.s_cutoff)));
  if (t.integrator == Integrator::NOSE_HOOVER) {
    if (integrate->size_vector % 4 != 0 || integrate->size_vector == 0)
      error->all(
          FLERR,
          "Fix diffsim/trajectory: fix {} shows {} numbers, which are not those of a chain of "
          "Nose-Hoover thermostats. Use fix nvt with a chain.",
          integrate->id, integrate->size_vector);
    t.chain = integrate->size_vector / 4;
  }
  temperature_at_start = target_temperature();
  record();
}

/* ---------------------------------------------------------------------- */

void FixDiffSimTrajectory::end_of_step()
{
  if (update->whichflag != 1) return;
  if (!current || update->firststep != first_step)
    error->all(FLERR,
               "Fix diffsim/trajectory: a run with 'pre no' does not know how it began. Leave "
               "'pre no' out.");
  if (update->dt != current->dt)
    error->all(FLERR, "Fix diffsim/trajectory: the time step must stay {}, but is {}.", current->dt,
               update->dt);
  const double temperature = target_temperature();
  if (temperature != temperature_at_start)
    error->all(
        FLERR,
        "Fix diffsim/trajectory: the temperature of the thermostat must be constant, but went "
        "from {} to {}.",
        temperature_at_start, temperature);
  if ((update->ntimestep - first_step) % stride == 0) record();
}

/* ---------------------------------------------------------------------- */

void FixDiffSimTrajectory::record()
{
  const int n = atom->nlocal;
  State state = {n, std::vector<double>(static_cast<size_t>(n) * ROW)};
  for (int i = 0; i < n; i++) {
    double *const row = state.rows.data() + static_cast<size_t>(i) * ROW;
    row[0] = ubuf(static_cast<int64_t>(atom->tag[i])).d;
    domain->unmap(atom->x[i], atom->image[i], row + 1);
    for (int d = 0; d < 3; d++) {
      row[1 + d] -= domain->boxlo[d];
      row[4 + d] = atom->v[i][d];
    }
  }
  states.push_back(std::move(state));
  for (int j = 0; j < current->chain; j++)
    chain_velocity.push_back(integrate->compute_vector(current->chain + j));
}

/* ----------------------------------------------------------------------
   of the thermostat; of none it is zero
------------------------------------------------------------------------- */

double FixDiffSimTrajectory::target_temperature() const
{
  Fix *thermostat = langevin;
  if (current->integrator == Integrator::NOSE_HOOVER) thermostat = integrate;
  if (!thermostat) return 0.0;
  int dim = -1;
  const auto *value = static_cast<double *>(thermostat->extract("t_target", dim));
  if (!value || dim != 0)
    error->all(FLERR, "Fix diffsim/trajectory: fix {} does not tell its temperature.",
               thermostat->id);
  return *value;
}

/* ----------------------------------------------------------------------
   complete the trajectory of this run
------------------------------------------------------------------------- */

void FixDiffSimTrajectory::post_run()
{
  if (!current) return;
  Trajectory &t = *current;
  t.steps = stride * (static_cast<int>(states.size()) - 1);
  if (update->ntimestep - first_step != t.steps)
    error->all(FLERR,
               "Fix diffsim/trajectory: with 'every {}' the steps of a run must be a multiple of "
               "that, but were {}.",
               stride, update->ntimestep - first_step);
  if (t.steps > 0) {
    t.kt = force->boltz * temperature_at_start;
    gather(t);
    if (langevin) find_friction();
    if (t.chain) find_chain();
    check_replay(t);
    if (comm->me == 0) completed.push_back(std::move(t));
  }
  current.reset();
  states.clear();
}

/* ----------------------------------------------------------------------
   the states of all atoms, in the order of their IDs, on process 0
------------------------------------------------------------------------- */

void FixDiffSimTrajectory::gather(Trajectory &t)
{
  std::vector<double> fixed;    // ID, type and mass of each atom
  for (int i = 0; i < atom->nlocal; i++) {
    fixed.push_back(ubuf(static_cast<int64_t>(atom->tag[i])).d);
    fixed.push_back(atom->type[i]);
    fixed.push_back(atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]]);
  }
  fixed = gather_rows(fixed, 3, world);
  t.natoms = static_cast<int>(fixed.size() / 3);
  for (int i = 0; i < t.natoms; i++) {
    t.tag.push_back(ubuf(fixed[3 * static_cast<size_t>(i)]).i);
    t.type.push_back(static_cast<int>(fixed[3 * static_cast<size_t>(i) + 1]));
    t.mass.push_back(fixed[3 * static_cast<size_t>(i) + 2]);
  }

  // not grown from state to state, which would take the memory of all of it twice
  t.x.reserve(3 * states.size() * t.natoms);
  t.v.reserve(3 * states.size() * t.natoms);
  bool lost = false;
  for (State &state : states) {
    const std::vector<double> rows = gather_rows(state.rows, ROW, world);
    state.rows = {};    // nor both here and in the trajectory
    const int n = static_cast<int>(rows.size() / ROW);
    lost |= n != t.natoms;
    for (int i = 0; i < n && !lost; i++) {
      const double *const row = rows.data() + static_cast<size_t>(i) * ROW;
      lost |= ubuf(row[0]).i != t.tag[i];
      t.x.insert(t.x.end(), row + 1, row + 4);
      t.v.insert(t.v.end(), row + 4, row + 7);
    }
  }
  int any = lost ? 1 : 0;
  MPI_Bcast(&any, 1, MPI_INT, 0, world);
  if (any)
    error->all(FLERR,
               "Fix diffsim/trajectory: the atoms of the last step are not those of the first. "
               "Keep the atoms, or find out why they are lost.");
  t.chain_velocity = chain_velocity;
}

/* ----------------------------------------------------------------------
   fix langevin does not tell its friction; with a temperature of zero its force is nothing else
------------------------------------------------------------------------- */

void FixDiffSimTrajectory::find_friction()
{
  const int n = atom->nlocal;
  // Without small common factors: where a compute takes a common velocity off, only rounding is
  // left of these, and that is not proportional to them.
  constexpr double MARK[3] = {0.7, 1.1, 1.9};
  constexpr double TOLERANCE = 1.0e-12;
  std::vector<double> drag(n), per_mass(atom->ntypes + 1, 0.0);
  auto mass = [this](int i) { return atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]]; };
  int plain = 1;
  {
    const Undisturbed guard(atom, langevin, temperature_at_start);
    langevin->reset_target(0.0);
    // all atoms moving alike without a force, then all at rest with one: of a single atom that
    // moves the mean that `bias` takes off would be too small to be seen
    for (int i = 0; i < n; i++)
      for (int d = 0; d < 3; d++) {
        atom->v[i][d] = MARK[d];
        atom->f[i][d] = 0.0;
      }
    langevin->post_force(0);
    for (int i = 0; i < n; i++) {
      drag[i] = -atom->f[i][0] / MARK[0];
      for (int d = 0; d < 3; d++) {
        const double expected = drag[i] * MARK[d];
        if (!(drag[i] > 0.0) || std::fabs(atom->f[i][d] + expected) > TOLERANCE * expected)
          plain = 0;
        atom->v[i][d] = 0.0;
        atom->f[i][d] = MARK[d];
      }
    }
    langevin->post_force(0);
    for (int i = 0; i < n; i++)
      for (int d = 0; d < 3; d++)
        if (atom->f[i][d] != MARK[d]) plain = 0;
  }
  for (int i = 0; i < n; i++) {
    double &largest = per_mass[atom->type[i]];
    largest = std::max(largest, drag[i] / mass(i));
  }
  MPI_Allreduce(MPI_IN_PLACE, per_mass.data(), atom->ntypes + 1, MPI_DOUBLE, MPI_MAX, world);
  for (int i = 0; i < n; i++) {
    const double expected = per_mass[atom->type[i]] * mass(i);
    if (!(std::fabs(drag[i] - expected) <= TOLERANCE * expected)) plain = 0;
  }
  MPI_Allreduce(MPI_IN_PLACE, &plain, 1, MPI_INT, MPI_MIN, world);
  if (!plain)
    error->all(
        FLERR,
        "Fix diffsim/trajectory: the force of fix {} is not friction times velocity plus random "
        "forces at a constant temperature. Its options gjf, bias and variable temperatures cannot "
        "be differentiated; leave them out.",
        langevin->id);
  for (int i = 0; i < current->natoms; i++)
    current->drag.push_back(per_mass[current->type[i]] * current->mass[i]);
}

/* ----------------------------------------------------------------------
   the masses of the chain follow from its kinetic energies, which fix nvt shows
------------------------------------------------------------------------- */

void FixDiffSimTrajectory::find_chain()
{
  Trajectory &t = *current;
  const Compute *const temperature =
      modify->get_compute_by_id(std::string(integrate->id) + "_temp");
  if (!temperature)
    error->all(FLERR,
               "Fix diffsim/trajectory: fix {} must use its own temperature; remove 'fix_modify {} "
               "temp'.",
               integrate->id, integrate->id);
  t.degrees_of_freedom = temperature->dof;
  for (int j = 0; j < t.chain; j++) {
    const double w = integrate->compute_vector(t.chain + j);
    const double kinetic = integrate->compute_vector(3 * t.chain + j);
    t.chain_mass.push_back(2.0 * kinetic / (w * w));
  }
}

/* ----------------------------------------------------------------------
   whether the first and the last step are what is going to be differentiated
------------------------------------------------------------------------- */

void FixDiffSimTrajectory::check_replay(const Trajectory &t) const
{
  double worst = 0.0;
  int step = 0;
  if (comm->me == 0)
    for (const int k : {t.states() - 2, 0}) {
      const double found = replay_error(t, k, fastest_instructions());
      if (!(found <= worst)) {
        worst = found;
        step = k * stride;
      }
    }
  MPI_Bcast(&worst, 1, MPI_DOUBLE, 0, world);
  MPI_Bcast(&step, 1, MPI_INT, 0, world);
  if (!(worst <= REPLAY_TOLERANCE))
    error->all(
        FLERR,
        "Fix diffsim/trajectory: step {} of the run is not what {}{} makes of the forces of "
        "pair_style diffsim (velocities differ by {:.3g} of their root mean square). Something "
        "else acts on the atoms, or an option of the fix that is not known here, as 'drag' and "
        "'tloop' of fix nvt; leave it out.",
        step + 1, langevin ? "fix langevin with fix " : "fix ", integrate->style, worst);
}

/* ---------------------------------------------------------------------- */

std::vector<Trajectory> FixDiffSimTrajectory::take_trajectories()
{
  std::vector<Trajectory> taken;
  taken.swap(completed);
  return taken;
}

/* ----------------------------------------------------------------------
   number of completed trajectories, on process 0
------------------------------------------------------------------------- */

double FixDiffSimTrajectory::compute_scalar()
{
  auto n = static_cast<int>(completed.size());
  MPI_Bcast(&n, 1, MPI_INT, 0, world);
  return n;
}

/* ---------------------------------------------------------------------- */

double FixDiffSimTrajectory::memory_usage()
{
  double numbers = 0.0;
  for (const State &state : states) numbers += static_cast<double>(state.rows.capacity());
  for (const Trajectory &t : completed)
    numbers += static_cast<double>(t.x.capacity() + t.v.capacity());
  return numbers * sizeof(double);
}
