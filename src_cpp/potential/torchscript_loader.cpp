#include "torchscript.h"

#include "../kernels/library_folder.h"

#include <dlfcn.h>

namespace diffsim {

namespace {

OpenTorchScript *load_library()
{
  const std::string path = library_folder() + "/" + TORCHSCRIPT_LIBRARY;
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    throw PotentialError(std::string("The library that reads TorchScript models could not be "
                                     "loaded: ") +
                         (reason ? reason : "unknown reason") +
                         ". It was built for PyTorch " DIFFSIM_BUILT_FOR_TORCH
                         "; install that version, or install diffsim again with the PyTorch "
                         "that is here. 'diffsim doctor' shows what fits together.");
  }
  auto *open = reinterpret_cast<OpenTorchScript *>(dlsym(library, TORCHSCRIPT_OPEN));
  if (!open)
    throw PotentialError("The library " + path + " has no function " + TORCHSCRIPT_OPEN +
                         ". Install diffsim again.");
  return open;
}

constexpr int LONGEST_MESSAGE = 2048;

class LoadedModel : public PairFunction {
 public:
  explicit LoadedModel(const TorchScriptModel &model) : model_(model)
  {
    units_ = model.units;
    cutoff_ = model.cutoff;
    species_.assign(model.species, model.species + model.nspecies);
  }
  ~LoadedModel() override { model_.close(model_.object); }
  LoadedModel(const LoadedModel &) = delete;
  LoadedModel &operator=(const LoadedModel &) = delete;

  void evaluate(int n, const double *r, const std::int64_t *a, const std::int64_t *b, double *u,
                double *du_dr) const override
  {
    char message[LONGEST_MESSAGE] = "";
    if (!model_.evaluate(model_.object, n, r, a, b, u, du_dr, message, sizeof message))
      throw PotentialError(message);
  }

 private:
  TorchScriptModel model_;
};

}    // namespace

std::unique_ptr<PairFunction> open_torchscript(const std::string &archive, const std::string &path,
                                               const Evaluation &where)
{
  static OpenTorchScript *const open = load_library();
  char message[LONGEST_MESSAGE] = "";
  TorchScriptModel model = {};
  if (!open(archive.data(), archive.size(), path.c_str(), &where, &model, message, sizeof message))
    throw PotentialError(message);
  return std::make_unique<LoadedModel>(model);
}

}    // namespace diffsim
