#include "model_file.h"

#include "knots_file.h"
#include "torchscript.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace diffsim {

namespace {

constexpr const char *NOT_OURS = "NULL";

class SomeSpecies : public PairFunction {
 public:
  SomeSpecies(std::unique_ptr<PairFunction> model, const std::vector<std::string> &names) :
      model_(std::move(model))
  {
    units_ = model_->units();
    cutoff_ = model_->cutoff();
    const auto &all = model_->species();
    for (size_t k = 0; k < all.size(); k++) {
      if (std::find(names.begin(), names.end(), all[k]) == names.end()) continue;
      species_.push_back(all[k]);
      number_.push_back(static_cast<std::int64_t>(k));
    }
  }

  void evaluate(int n, const double *r, const std::int64_t *a, const std::int64_t *b, double *u,
                double *du_dr) const override
  {
    std::vector<std::int64_t> first(n), second(n);
    for (int k = 0; k < n; k++) {
      first[k] = number_[a[k]];
      second[k] = number_[b[k]];
    }
    model_->evaluate(n, r, first.data(), second.data(), u, du_dr);
  }

 private:
  std::unique_ptr<PairFunction> model_;
  std::vector<std::int64_t> number_;    // of our species in the model
};

std::string contents(const std::string &path)
{
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) errno = EISDIR;
  std::ifstream file;
  std::ostringstream text;
  if (!std::filesystem::is_directory(path, ignored)) {
    // what has no end, such as a device, cannot be read whole
    if (std::filesystem::is_other(path, ignored))
      throw PotentialError("The model file " + path +
                           " is not a file on a disk. Give the path of a TorchScript archive or of "
                           "a knots file.");
    file.open(path, std::ios::binary);
    if (file && file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  }
  if (!file.is_open() || file.bad())
    throw PotentialError("The model file " + path + " cannot be opened (" + std::strerror(errno) +
                         "). Give the path of a TorchScript archive or of a knots file.");
  return text.str();
}

}    // namespace

std::unique_ptr<PairFunction> with_species(std::unique_ptr<PairFunction> model,
                                           const std::vector<std::string> &names)
{
  return std::make_unique<SomeSpecies>(std::move(model), names);
}

std::vector<int> number_species(const std::vector<std::string> &names,
                                const std::vector<std::string> &species)
{
  std::vector<int> numbers;
  for (size_t type = 0; type < names.size(); type++) {
    if (names[type] == NOT_OURS) {
      numbers.push_back(-1);
      continue;
    }
    const auto found = std::find(species.begin(), species.end(), names[type]);
    if (found == species.end()) {
      constexpr size_t SHOWN = 10;
      std::string known;
      for (size_t k = 0; k < std::min(species.size(), SHOWN); k++)
        known += (known.empty() ? "" : ", ") + species[k];
      if (species.size() > SHOWN)
        known += " and " + std::to_string(species.size() - SHOWN) + " others";
      throw PotentialError("Species " + names[type] + " of atom type " + std::to_string(type + 1) +
                           " is not in the model, which has the species " + known +
                           ". Name one of these, or NULL to leave the type to another style.");
    }
    numbers.push_back(static_cast<int>(found - species.begin()));
  }
  if (std::all_of(numbers.begin(), numbers.end(), [](int number) { return number < 0; }))
    throw PotentialError("Every atom type is NULL. Name a species for at least one of them.");
  return numbers;
}

ModelFile read_model(const std::string &path, const std::vector<std::string> &names,
                     double tolerance)
{
  ModelFile file;
  std::string text = contents(path);
  if (text.compare(0, 2, "PK") != 0) {    // not a zip file
    std::istringstream in(text);
    try {
      file.knots = read_knots(in, path);
    } catch (const PotentialError &e) {
      throw PotentialError("The file " + path +
                           " is not a TorchScript archive (a zip file written by torch.jit.save), "
                           "and cannot be read as a knots file: " +
                           e.what());
    }
    number_species(names, file.knots.species);
    return file;
  }

  auto model = open_torchscript(text, path);
  number_species(names, model->species());
  model = with_species(std::move(model), names);
  check_symmetry(*model);
  SplineError largest;
  file.knots = tabulate(*model, pair_ranges(*model), tolerance, largest);
  file.archive = std::move(text);
  char report[200];
  std::snprintf(report, sizeof report,
                "  spline error relative to the model: energy %.2e at r = %.6g, force %.2e at r = "
                "%.6g (tolerance %.2e)",
                largest.energy, largest.energy_at, largest.force, largest.force_at, tolerance);
  file.report = report;
  return file;
}

}    // namespace diffsim
