// The one file that includes torch.

#include "torchscript.h"

#include "knots.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <dlfcn.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

namespace diffsim {

namespace {

// The first line that says something; of a long one the sentences that fit.
std::string first_line(const std::string &text)
{
  constexpr size_t LONGEST = 250;
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "without a message";
  const std::string line = text.substr(begin, text.find('\n', begin) - begin);
  const size_t sentences = line.size() > LONGEST ? line.rfind(". ", LONGEST) : std::string::npos;
  return quotable(line.substr(0, sentences), LONGEST);
}

// what c10::Error says, without its backtrace
std::string what(const std::exception &e)
{
  const auto *error = dynamic_cast<const c10::Error *>(&e);
  const std::string message = error ? error->what_without_backtrace() : e.what();
  // errors inside the script's code start with a traceback of the script; its last line is the
  // point
  if (message.rfind("The following operation failed", 0) == 0) {
    const size_t end = message.find_last_not_of(" \n");
    const size_t begin = message.rfind('\n', end);
    return first_line(message.substr(begin + 1, end - begin));
  }
  return first_line(message);
}

// The version of the libtorch in this process, from the file beside its libraries; empty if unknown
std::string torch_version()
{
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&torch::jit::setFusionStrategy), &info) || !info.dli_fname)
    return "";
  const std::string library = info.dli_fname;    // .../torch/lib/libtorch_cpu.so
  std::ifstream file(library.substr(0, library.rfind('/')) + "/../version.py");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find('\'');
    if (line.rfind("__version__", 0) != 0 || first == std::string::npos) continue;
    return line.substr(first + 1, line.find_first_of("+'", first + 1) - first - 1);
  }
  return "";
}

// The part of PyTorch that knows of GPUs, which a program that does not name it does not load.
// PyTorch looks for it once, when it computes for the first time: not when a GPU is asked for.
// Where there is no driver, nor that part, nothing happens.
void load_gpu_part()
{
  static const bool has_driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) != nullptr;
  if (has_driver) dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
}

// The processor, or the GPU of this process.
torch::Device device_of(const Evaluation &where)
{
  if (!where.on_gpu) return torch::kCPU;
  const int count = static_cast<unsigned char>(torch::cuda::device_count());
  if (!torch::cuda::is_available() || count == 0)
    throw PotentialError("'eval exact' with 'device cuda' needs a GPU and PyTorch with CUDA, but "
                         "PyTorch " TORCH_VERSION " finds no GPU that it can use; the build for "
                         "processors never does. Install the build for CUDA and DiffSim for it, or "
                         "use 'device cpu', or 'eval table', which needs no PyTorch on the GPU.");
  const int index = where.index < 0 ? where.local_rank % count : where.index;
  if (index >= count)
    throw PotentialError("There is no GPU " + std::to_string(index) + ": PyTorch finds " +
                         std::to_string(count) + ", numbered from 0. Name one of them.");
  return {torch::kCUDA, static_cast<torch::DeviceIndex>(index)};
}

class TorchScriptFunction : public PairFunction {
 public:
  TorchScriptFunction(const std::string &archive, const std::string &path,
                      const Evaluation &where) : path_(path), device_(device_of(where))
  {
    const c10::InferenceMode inference(false);    // as in evaluate()
    try {
      std::istringstream in(archive);
      module_ = torch::jit::load(in, device_);
    } catch (const std::exception &e) {
      throw PotentialError("The model file " + path +
                           " is not a TorchScript archive that PyTorch " + TORCH_VERSION +
                           " can read (" + what(e) +
                           "). Write it with torch.jit.save, or with the save method of a "
                           "diffsim potential.");
    }
    module_.eval();
    read_attributes();
    check_signature();
  }

  void evaluate(int n, const double *r, const std::int64_t *a, const std::int64_t *b, double *u,
                double *du_dr) const override
  {
    // whatever the Python that called LAMMPS has set for its own models
    const c10::InferenceMode inference(false);
    const torch::AutoGradMode gradients(true);
    try {
      call_and_differentiate(n, r, a, b, u, du_dr);
    } catch (const PotentialError &) {
      throw;
    } catch (const std::exception &e) {
      throw PotentialError("The energies of the model " + path_ + " cannot be used (" + what(e) +
                           "). " + SIGNATURE);
    }
  }

 private:
  void call_and_differentiate(int n, const double *r, const std::int64_t *a, const std::int64_t *b,
                              double *u, double *du_dr) const
  {
    const torch::Tensor distance = torch::from_blob(const_cast<double *>(r), {n}, torch::kFloat64)
                                       .to(device_, /*non_blocking=*/false, /*copy=*/true)
                                       .requires_grad_(true);
    const torch::Tensor energy = call(distance, indices(n, a), indices(n, b));
    torch::Tensor slope;
    if (energy.requires_grad()) {
      try {
        slope = torch::autograd::grad({energy.sum()}, {distance}, {}, std::nullopt, false, true)[0];
      } catch (const std::exception &e) {
        throw PotentialError("The model " + path_ +
                             " cannot be differentiated with respect to r (" + what(e) + ").");
      }
    }
    if (!slope.defined()) {
      // right for an energy that does not depend on r, such as a constant zero
      if (n > 1 && !energy.equal(energy[0].expand(n)))
        throw PotentialError("The model " + path_ +
                             " detaches its energies from r, and has no forces. Compute them with "
                             "differentiable operations, without no_grad or detach.");
      slope = torch::zeros_like(distance);
    }
    copy(energy.detach(), u);
    copy(slope, du_dr);
  }

  template <class Value> Value attribute(const char *name, const char *type) const
  {
    const std::string requirement = std::string("It must have an attribute '") + name + ": " +
                                    type + "'; set it before torch.jit.script.";
    if (!module_.hasattr(name))
      throw PotentialError("The model " + path_ + " has no attribute '" + name + "'. " +
                           requirement);
    try {
      return module_.attr(name).to<Value>();
    } catch (const std::exception &) {
      throw PotentialError("The model " + path_ + " has an attribute '" + name +
                           "' of another type (" + module_.attr(name).tagKind() + "). " +
                           requirement);
    }
  }

  void read_attributes()
  {
    cutoff_ = attribute<double>("cutoff", "float");
    species_ = attribute<std::vector<std::string>>("species", "List[str]");
    units_ = attribute<std::string>("units", "str");
    const bool usable = cutoff_ >= SHORTEST_CUTOFF && cutoff_ <= LONGEST_CUTOFF;    // not if NaN
    if (!usable) {
      std::ostringstream found;
      found << cutoff_;
      throw PotentialError("The model " + path_ + " has cutoff " + found.str() + "; it must be " +
                           CUTOFF_IS + ".");
    }
    if (species_.empty())
      throw PotentialError("The model " + path_ +
                           " names no species; its attribute 'species' must list at least one.");
    for (const auto &name : species_)
      if (name.empty() || name.size() > LONGEST_NAME ||
          name.find_first_of(" \t\r\n\v\f") != std::string::npos)
        throw PotentialError("The model " + path_ + " has a species named '" + quotable(name) +
                             "'; names must have 1 to " + std::to_string(LONGEST_NAME) +
                             " characters and no white space.");
    if (std::set<std::string>(species_.begin(), species_.end()).size() != species_.size())
      throw PotentialError("The model " + path_ +
                           " names a species twice; the names in its attribute "
                           "'species' must differ.");
  }

  void check_signature() const
  {
    const auto method = module_.find_method("forward");
    if (!method)
      throw PotentialError("The model " + path_ + " has no method 'forward'. " + SIGNATURE);
    const size_t arguments = method->function().getSchema().arguments().size() - 1;    // less self
    if (arguments != 3)
      throw PotentialError("The forward method of the model " + path_ + " takes " +
                           std::to_string(arguments) + " arguments. " + SIGNATURE);
  }

  torch::Tensor indices(int n, const std::int64_t *values) const
  {
    return torch::from_blob(const_cast<std::int64_t *>(values), {n}, torch::kInt64)
        .to(device_, /*non_blocking=*/false, /*copy=*/true);
  }

  torch::Tensor call(const torch::Tensor &r, const torch::Tensor &a, const torch::Tensor &b) const
  {
    const auto n = r.size(0);
    torch::IValue output;
    try {
      output = const_cast<torch::jit::Module &>(module_).forward({r, a, b});
    } catch (const std::exception &e) {
      throw PotentialError("The model " + path_ + " failed when it was called (" + what(e) + "). " +
                           SIGNATURE);
    }
    if (!output.isTensor())
      throw PotentialError("The forward method of the model " + path_ + " returns a " +
                           output.tagKind() + ". " + SIGNATURE);
    const torch::Tensor energy = output.toTensor();
    if (energy.scalar_type() != torch::kFloat64 || energy.dim() != 1 || energy.size(0) != n) {
      std::ostringstream found;
      found << energy.scalar_type() << " of shape " << energy.sizes();
      throw PotentialError("The forward method of the model " + path_ + " returns a tensor of " +
                           found.str() + " for " + std::to_string(n) + " distances. " + SIGNATURE);
    }
    return energy;
  }

  static void copy(const torch::Tensor &from, double *to)
  {
    const torch::Tensor values = from.to(torch::kCPU).contiguous();
    std::memcpy(to, values.data_ptr<double>(), values.numel() * sizeof(double));
  }

  static constexpr const char *SIGNATURE =
      "It must be forward(r, type_i, type_j) with distances (n,) float64 and species indices (n,) "
      "int64, and return the pair energies (n,) float64.";

  std::string path_;
  torch::Device device_;
  torch::jit::Module module_;
};

}    // namespace

}    // namespace diffsim

namespace {

using namespace diffsim;

// What a TorchScriptModel points to.
struct OpenModel {
  OpenModel(const std::string &archive, const std::string &path, const Evaluation &where) :
      function(archive, path, where)
  {
    for (const auto &name : function.species()) species.push_back(name.c_str());
  }

  TorchScriptFunction function;
  std::vector<const char *> species;
};

bool fail(const std::string &reason, char *message, int length)
{
  std::strncpy(message, reason.c_str(), length - 1);
  message[length - 1] = '\0';
  return false;
}

bool evaluate_model(const void *object, int n, const double *r, const std::int64_t *a,
                    const std::int64_t *b, double *u, double *du_dr, char *message, int length)
{
  try {
    static_cast<const OpenModel *>(object)->function.evaluate(n, r, a, b, u, du_dr);
    return true;
  } catch (const std::exception &e) {
    return fail(e.what(), message, length);
  }
}

void close_model(void *object)
{
  delete static_cast<OpenModel *>(object);
}

}    // namespace

extern "C" bool diffsim_open_torchscript(const char *archive, size_t size, const char *path,
                                         const Evaluation *where, TorchScriptModel *model,
                                         char *message, int length)
{
  load_gpu_part();
  // the profiling executor recompiles a model during its first calls, which takes longer than all
  // of the tabulation; specialising for shapes gains nothing here
  torch::jit::FusionStrategy no_specialisation = {{torch::jit::FusionBehavior::DYNAMIC, 0}};
  torch::jit::setFusionStrategy(no_specialisation);
  try {
    const std::string version = torch_version();
    if (!version.empty() && version != TORCH_VERSION)
      throw PotentialError(
          "The diffsim plugin was built for PyTorch " TORCH_VERSION ", but PyTorch " + version +
          " is installed. Install that version, or install diffsim again with "
          "the PyTorch that is here.");
    auto open = std::make_unique<OpenModel>(std::string(archive, size), path, *where);
    const TorchScriptFunction &function = open->function;
    *model = {nullptr,
              function.units().c_str(),
              function.cutoff(),
              static_cast<int>(open->species.size()),
              open->species.data(),
              evaluate_model,
              close_model};
    model->object = open.release();
    return true;
  } catch (const PotentialError &e) {
    return fail(e.what(), message, length);
  } catch (const std::exception &e) {
    return fail(std::string("The model file ") + path + " cannot be used (" + what(e) +
                    "). Write it anew with torch.jit.save.",
                message, length);
  }
}
