#include "dynamics.h"

#include "arrays.h"

#include "../kernels/adjoint.h"
#include "../kernels/cuda/gpu.h"

#include <pybind11/stl.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>

namespace py = pybind11;
using namespace diffsim;
using namespace diffsim::python;

namespace {

constexpr const char *INTEGRATORS[] = {"nve", "langevin", "nose-hoover"};

std::vector<py::ssize_t> state_shape(const Trajectory &t)
{
  return {t.states(), t.natoms, 3};
}

// A property of Trajectory with three numbers for each atom of each state
auto per_state(std::vector<double> Trajectory::*member)
{
  return [member](const py::object &self) {
    const auto &t = self.cast<const Trajectory &>();
    return view(t.*member, state_shape(t), self);
  };
}

// A property of Trajectory with one number for each atom
template <class Value>
auto per_atom(std::vector<Value> Trajectory::*member)
{
  return [member](const py::object &self) {
    const auto &t = self.cast<const Trajectory &>();
    return view(t.*member, {static_cast<py::ssize_t>((t.*member).size())}, self);
  };
}

// The derivatives of one kind, whose states are `last` + 1
const double *states_of(const std::optional<Doubles> &given, const Trajectory &t, const char *what,
                        int &last)
{
  if (!given) return nullptr;
  const bool fits = given->ndim() == 3 && given->shape(0) >= 1 && given->shape(0) <= t.states() &&
                    given->shape(1) == t.natoms && given->shape(2) == 3;
  if (!fits || (last >= 0 && given->shape(0) != last + 1))
    throw py::value_error(std::string(what) +
                          " must have the shape (states, atoms, 3) of the first states of the "
                          "trajectory, as many for dx as for dv.");
  last = static_cast<int>(given->shape(0)) - 1;
  return given->data();
}

py::dict adjoint_of(const Trajectory &t, const std::optional<Doubles> &dx,
                    const std::optional<Doubles> &dv, int threads,
                    const std::optional<std::string> &instructions, std::optional<int> gpu)
{
  if (threads < 1) throw py::value_error("threads must be positive.");
  int last = -1;
  StateDerivatives derivatives = {};
  derivatives.x = states_of(dx, t, "dx", last);
  derivatives.v = states_of(dv, t, "dv", last);
  if (last < 0) throw py::value_error("dx or dv must be given.");
  derivatives.last = last;
  const Instructions used =
      instructions ? instructions_named(*instructions) : fastest_instructions();
  Adjoint result;
  {
    const py::gil_scoped_release release;
    const std::unique_ptr<PairHessian> hessian =
        gpu ? Gpu(*gpu, 0).hessian(t.tables.view())
            : make_pair_hessian(used, t.tables.view(), threads);
    result = adjoint(t, derivatives, *hessian, used);
  }
  auto array = [](const std::vector<double> &values, std::vector<py::ssize_t> shape) {
    return py::array_t<double>(std::move(shape), values.data());
  };
  py::dict answer;
  answer["coefficients"] =
      array(result.coefficients, {unordered_pairs(t.tables.ntypes), basis_size(t.tables.knots)});
  answer["x"] = array(result.x, {t.natoms, 3});
  answer["v"] = array(result.v, {t.natoms, 3});
  answer["chain"] = array(result.chain, {t.chain});
  answer["norm"] = array(result.norm, {last + 1});
  return answer;
}

py::tuple pair_sum_of(const Trajectory &t, int state, const Doubles &coefficients, int threads)
{
  if (state < 0 || state >= t.states())
    throw py::value_error("the state must be one of 0 to " + std::to_string(t.states() - 1) + ".");
  if (coefficients.ndim() != 2 || coefficients.shape(0) != unordered_pairs(t.tables.ntypes) ||
      coefficients.shape(1) != basis_size(t.tables.knots))
    throw py::value_error("coefficients must have the shape (pairs of types, knots + 2).");
  py::array_t<double> gradient({static_cast<py::ssize_t>(t.natoms), static_cast<py::ssize_t>(3)});
  const double sum = pair_sum(t, state, coefficients.data(), fastest_instructions(), threads,
                              gradient.mutable_data());
  return py::make_tuple(sum, gradient);
}

// The distances of the knots of each pair of types
py::array_t<double> knot_distances(const Trajectory &t)
{
  const int ntypes = t.tables.ntypes, knots = t.tables.knots;
  py::array_t<double> result({unordered_pairs(ntypes), knots});
  for (int i = 1; i <= ntypes; i++)
    for (int j = i; j <= ntypes; j++) {
      const PairTable &table = t.tables.view().pair(i, j);
      for (int k = 0; k < knots; k++)
        *result.mutable_data(unordered_pair(i - 1, j - 1, ntypes), k) =
            std::sqrt(table.s_inner + k / table.inv_h);
    }
  return result;
}

std::vector<std::unique_ptr<Trajectory>> take_trajectories(std::uintptr_t lammps,
                                                           const std::string &fix_id)
{
  auto *take =
      plugin_function<std::vector<Trajectory> *(void *, const char *)>("diffsim_take_trajectories");
  const std::unique_ptr<std::vector<Trajectory>> taken(take(pointer(lammps), fix_id.c_str()));
  if (!taken)
    throw py::key_error("LAMMPS has no fix '" + fix_id + "' of style diffsim/trajectory.");
  std::vector<std::unique_ptr<Trajectory>> result;
  for (Trajectory &t : *taken) result.push_back(std::make_unique<Trajectory>(std::move(t)));
  return result;
}

}    // namespace

void define_dynamics(py::module_ &m)
{
  py::class_<Trajectory>(m, "Trajectory",
                         "Every state of a run, as recorded by fix diffsim/trajectory.")
      .def_property_readonly("integrator",
                             [](const Trajectory &t) {
                               return INTEGRATORS[static_cast<int>(t.integrator)];
                             })
      .def_readonly("steps", &Trajectory::steps)
      .def_readonly("stride", &Trajectory::stride)
      .def_readonly("dt", &Trajectory::dt)
      .def_readonly("kt", &Trajectory::kt)
      .def_readonly("mvv_to_energy", &Trajectory::mvv_to_energy)
      .def_property_readonly(
          "box",
          [](const Trajectory &t) {
            const Box &b = t.box;
            return py::array_t<double>(
                {3, 3},
                std::vector<double>{b.xx, 0.0, 0.0, b.xy, b.yy, 0.0, b.xz, b.yz, b.zz}.data());
          })
      .def_property_readonly("periodic",
                             [](const Trajectory &t) {
                               return std::vector<bool>(t.box.periodic.begin(),
                                                        t.box.periodic.end());
                             })
      .def_property_readonly("tag", per_atom(&Trajectory::tag))
      .def_property_readonly("type", per_atom(&Trajectory::type))
      .def_property_readonly("mass", per_atom(&Trajectory::mass))
      .def_property_readonly("drag", per_atom(&Trajectory::drag))
      .def_property_readonly("chain_mass", per_atom(&Trajectory::chain_mass))
      .def_property_readonly("chain_velocity",
                             [](const py::object &self) {
                               const auto &t = self.cast<const Trajectory &>();
                               return view(t.chain_velocity, {t.states(), t.chain}, self);
                             })
      .def_property_readonly("x", per_state(&Trajectory::x))
      .def_property_readonly("v", per_state(&Trajectory::v))
      .def_property_readonly("knots", &knot_distances)
      .def_property_readonly("nbytes", [](const Trajectory &t) {
        return sizeof(double) * (t.x.size() + t.v.size() + t.chain_velocity.size());
      });

  m.def("take_trajectories", &take_trajectories, py::arg("lammps"), py::arg("fix_id"),
        "Trajectories of a fix diffsim/trajectory, moved out of LAMMPS without a copy.");
  m.def("pair_sum", &pair_sum_of, py::arg("trajectory"), py::arg("state"), py::arg("coefficients"),
        py::arg("threads") = 1,
        "Sum over the pairs in a state of splines on the knots of the potential, (pairs of types, "
        "knots + 2), and its derivative by the positions (atoms, 3).");
  m.def(
      "adjoint", &adjoint_of, py::arg("trajectory"), py::arg("dx") = py::none(),
      py::arg("dv") = py::none(), py::arg("threads") = 1, py::arg("instructions") = py::none(),
      py::arg("gpu") = py::none(),
      "Total derivatives of a function of the first states of a trajectory, given its derivatives "
      "with respect to each of them by itself, (states, atoms, 3); on the GPU of a number, if "
      "there is one.");
  m.def("gpu_count", &Gpu::count, "Number of GPUs; raises RuntimeError, with the reason, if none.");
}
