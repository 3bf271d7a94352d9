// How a potential comes into pair_style diffsim: from the file of pair_coeff, or from a restart
// file.

#include "pair_diffsim.h"

#include "first_failure.h"

#include "../potential/knots_file.h"
#include "../potential/torchscript.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "platform.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <sstream>
#include <stdexcept>

#ifdef _OPENMP
extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int);
#endif

using namespace LAMMPS_NS;
using namespace diffsim;

/* ----------------------------------------------------------------------
   libtorch sets the number of OpenMP threads of the process when it is loaded; LAMMPS would take
   that over at the next 'clear'
------------------------------------------------------------------------- */

class KeepThreads {
 public:
#ifdef _OPENMP
  KeepThreads() : before(omp_get_max_threads()) {}
  ~KeepThreads() { omp_set_num_threads(before); }
  KeepThreads(const KeepThreads &) = delete;
  KeepThreads &operator=(const KeepThreads &) = delete;

 private:
  int before;
#else
  KeepThreads() {}    // not defaulted: an object that nothing uses would be warned of
#endif
};

/* ----------------------------------------------------------------------
   pair_coeff * * FILE A B ...
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
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++) {
      scale[i][j] = 1.0;
      setflag[i][j] = 0;    // if this fails, and Python goes on, there is no potential
    }

  const KeepThreads keep;
  const std::vector<std::string> names(arg + 3, arg + narg);
  std::string knots_text, bytes, tabulation;
  std::string failure;
  if (comm->me == 0) {
    try {
      // as for other potentials, also in the folders of LAMMPS_POTENTIALS
      const std::string found = utils::get_potential_file_path(arg[2]);
      ModelFile file = read_model(found.empty() ? arg[2] : found, names, style.tolerance);
      if (style.exact && file.archive.empty())
        throw PotentialError(std::string("The file ") + arg[2] +
                             " holds knots, and 'eval exact' needs the model itself. Name the "
                             "TorchScript archive, or use 'eval table'.");
      std::ostringstream text;
      write_knots(text, file.knots);
      knots_text = text.str();
      if (style.exact) bytes = std::move(file.archive);
      tabulation = file.report;
    } catch (const std::bad_alloc &) {
      failure = std::string("There is not enough memory to read the model file ") + arg[2] +
                " and to tabulate its model.";
    } catch (const std::exception &e) {
      failure = e.what();
    }
  }
  stop_if_failed(failure);
  broadcast(knots_text, 0, world);
  broadcast(bytes, 0, world);

  try {
    std::istringstream in(knots_text);
    species_of_type = number_species(names, read_knots(in, arg[2]).species);
  } catch (const PotentialError &e) {    // the same on every process
    error->all(FLERR, "Pair style diffsim: {}", e.what());
  }
  use(knots_text, bytes, arg[2]);
  report(arg[2], tabulation);
}

/* ----------------------------------------------------------------------
   the potential that all processes have; species_of_type refers to its species
------------------------------------------------------------------------- */

void PairDiffSim::use(const std::string &knots_text, const std::string &bytes,
                      const std::string &path)
{
  const KeepThreads keep;
  std::string failure;
  const Evaluation where = {device.cuda, device.index, device.local_rank};
  try {
    std::istringstream in(knots_text);
    knots = read_knots(in, path);
    const int nspecies = static_cast<int>(knots.species.size());
    for (const int number : species_of_type)
      if (number < -1 || number >= nspecies)
        throw PotentialError("An atom type has the species " + std::to_string(number) +
                             ", and the model " + path + " has " + std::to_string(nspecies) + ".");
    archive = bytes;
    model.reset();
    if (style.exact) {
      model = with_species(open_torchscript(archive, path, where), knots.species);
      if (model->species() != knots.species)
        throw PotentialError("The model " + path + " has other species than its knots.");
    }
  } catch (const std::exception &e) {
    failure = e.what();
  }
  stop_if_failed(failure);
  if (knots.units != update->unit_style)
    error->all(FLERR,
               "Pair style diffsim: the model {} is in '{}' units, but the simulation uses 'units "
               "{}'. Use the model's units in the input script, or convert the model.",
               path, quotable(knots.units), update->unit_style);
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++)
      setflag[i][j] = species_of_type[i - 1] >= 0 && species_of_type[j - 1] >= 0 ? 1 : 0;
  make_tables();
  static int readings = 0;    // of all instances: a later one must not look like an earlier one
  reads = ++readings;
}

/* ----------------------------------------------------------------------
   one process may lack the library that reads archives, or memory
------------------------------------------------------------------------- */

void PairDiffSim::stop_if_failed(const std::string &failure) const
{
  stop_with_first(lmp, failure.empty() ? failure : "Pair style diffsim: " + failure);
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::make_tables()
{
  tables_shifted = offset_flag != 0;
  tables = diffsim::make_tables(tables_shifted ? shifted(knots) : knots, species_of_type);
  gpu_has_tables = false;
}

/* ---------------------------------------------------------------------- */

void PairDiffSim::report(const std::string &path, const std::string &tabulation)
{
  if (comm->me != 0) return;
  utils::logmesg(lmp, "Pair style diffsim: {} with {} knots in r^2, cutoff {:.6g} {}\n", path,
                 knots.knots, knots.cutoff, knots.units);
  const int n = static_cast<int>(knots.species.size());
  for (int a = 0, pair = 0; a < n; a++)
    for (int b = a; b < n; b++, pair++) {
      const double *u = knots.pair_values(pair);
      utils::logmesg(lmp, "  {}: from r = {:.6g} (u = {:.6g}) to {:.6g} (u = {:.3g})\n",
                     pair_name(knots.species, a, b), knots.inner[pair], u[0], knots.outer[pair],
                     u[knots.knots - 1]);
      if (u[1] > u[0])
        error->warning(FLERR,
                       "Pair style diffsim: the energy of {} falls towards the innermost knot at "
                       "r = {}; closer atoms will attract each other",
                       pair_name(knots.species, a, b), knots.inner[pair]);
    }
  if (!tabulation.empty()) utils::logmesg(lmp, tabulation + "\n");
}

/* ----------------------------------------------------------------------
   a restart file holds the potential itself, and needs no model file
------------------------------------------------------------------------- */

namespace {
void write_text(const std::string &text, FILE *fp)
{
  const auto length = static_cast<bigint>(text.size());
  fwrite(&length, sizeof(bigint), 1, fp);
  fwrite(text.data(), 1, text.size(), fp);
}

constexpr const char *DAMAGED =
    "Pair style diffsim: the restart file is damaged: {}. Use another restart file.";

// the bytes from here to the end of the file
bigint bytes_left(FILE *fp)
{
  const bigint here = platform::ftell(fp);
  platform::fseek(fp, platform::END_OF_FILE);
  const bigint end = platform::ftell(fp);
  platform::fseek(fp, here);
  return end - here;
}

// throws std::length_error
std::string read_text(FILE *fp, Error *error)
{
  bigint length = 0;
  utils::sfread(FLERR, &length, sizeof(bigint), 1, fp, nullptr, error);
  const bigint left = bytes_left(fp);
  if (length < 0 || length > left)
    throw std::length_error(
        fmt::format("a text in it has the length {}, and {} bytes follow", length, left));
  std::string text(length, '\0');
  utils::sfread(FLERR, text.data(), 1, length, fp, nullptr, error);
  return text;
}

}    // namespace

void PairDiffSim::write_restart_settings(FILE *fp)
{
  fwrite(&style, sizeof(style), 1, fp);
  fwrite(&offset_flag, sizeof(int), 1, fp);
}

void PairDiffSim::read_restart_settings(FILE *fp)
{
  if (comm->me == 0) {
    utils::sfread(FLERR, &style, sizeof(style), 1, fp, nullptr, error);
    utils::sfread(FLERR, &offset_flag, sizeof(int), 1, fp, nullptr, error);
  }
  MPI_Bcast(&style, sizeof(style), MPI_BYTE, 0, world);
  MPI_Bcast(&offset_flag, 1, MPI_INT, 0, world);
  for (const int flag : {style.exact, style.close_stop, offset_flag})
    if (!(style.tolerance > 0.0) || (flag != 0 && flag != 1))
      error->all(FLERR, DAMAGED, "it has settings that this pair style does not have");
}

void PairDiffSim::write_restart(FILE *fp)
{
  write_restart_settings(fp);
  std::ostringstream text;
  write_knots(text, knots);
  write_text(text.str(), fp);
  write_text(archive, fp);
  fwrite(species_of_type.data(), sizeof(int), species_of_type.size(), fp);
  for (int i = 1; i <= atom->ntypes; i++) fwrite(scale[i] + 1, sizeof(double), atom->ntypes, fp);
}

void PairDiffSim::read_restart(FILE *fp)
{
  read_restart_settings(fp);
  if (!allocated) allocate();
  const int n = atom->ntypes;
  std::string knots_text, bytes, damage;
  species_of_type.resize(n);
  if (comm->me == 0) {
    try {
      knots_text = read_text(fp, error);
      bytes = read_text(fp, error);
      utils::sfread(FLERR, species_of_type.data(), sizeof(int), n, fp, nullptr, error);
      for (int i = 1; i <= n; i++)
        utils::sfread(FLERR, scale[i] + 1, sizeof(double), n, fp, nullptr, error);
    } catch (const std::length_error &e) {
      damage = e.what();
    }
  }
  broadcast(damage, 0, world);
  if (!damage.empty()) error->all(FLERR, DAMAGED, damage);
  broadcast(knots_text, 0, world);
  broadcast(bytes, 0, world);
  MPI_Bcast(species_of_type.data(), n, MPI_INT, 0, world);
  for (int i = 1; i <= n; i++) {
    MPI_Bcast(scale[i] + 1, n, MPI_DOUBLE, 0, world);
    for (int j = 1; j <= n; j++)
      if (!std::isfinite(scale[i][j]))
        error->all(FLERR, DAMAGED,
                   fmt::format("the scale factor of the atom types {} and {} is {}", i, j,
                               scale[i][j]));
  }
  use(knots_text, bytes, "of the restart file");
}
