// The Python face of the kernels: arrays in, arrays out, no physics.

#include "arrays.h"
#include "dynamics.h"

#include "../kernels/frames.h"
#include "../kernels/spline.h"
#include "../potential/knots.h"
#include "../potential/knots_file.h"

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <fstream>
#include <optional>

namespace py = pybind11;
using namespace diffsim;
using namespace diffsim::python;

namespace {

// A Python callable (r, a, b) -> (u, du_dr) on numpy arrays as a model
class PythonFunction : public PairFunction {
 public:
  PythonFunction(py::function function, std::vector<std::string> species, double cutoff,
                 std::string units) : function_(std::move(function))
  {
    species_ = std::move(species);
    cutoff_ = cutoff;
    units_ = std::move(units);
  }

  void evaluate(int n, const double *r, const std::int64_t *a, const std::int64_t *b, double *u,
                double *du_dr) const override
  {
    const py::tuple result = function_(py::array_t<double>(n, r), py::array_t<std::int64_t>(n, a),
                                       py::array_t<std::int64_t>(n, b));
    const auto energy = result[0].cast<Doubles>(), slope = result[1].cast<Doubles>();
    if (energy.size() != n || slope.size() != n)
      throw PotentialError("The potential returned " + std::to_string(energy.size()) +
                           " energies and " + std::to_string(slope.size()) + " slopes for " +
                           std::to_string(n) + " distances; it must return one for each.");
    std::copy_n(energy.data(), n, u);
    std::copy_n(slope.data(), n, du_dr);
  }

 private:
  py::function function_;
};

// A property of Frames with one number a frame
template <class Value>
auto per_frame(std::vector<Value> Frames::*member)
{
  return [member](const py::object &self) {
    const auto &frames = self.cast<const Frames &>();
    return view(frames.*member, {frames.frames}, self);
  };
}

py::ssize_t type_pairs(const Frames &frames)
{
  return unordered_pairs(frames.ntypes);
}

// A property of Frames with one number a frame and B-spline of each pair of types
auto per_basis(std::vector<double> Frames::*member)
{
  return [member](const py::object &self) {
    const auto &frames = self.cast<const Frames &>();
    return view(frames.*member, {frames.frames, type_pairs(frames), frames.basis}, self);
  };
}

Doubles rows(const Doubles &input, py::ssize_t expected, const char *what)
{
  if (input.ndim() != 2 || input.shape(1) != expected)
    throw py::value_error(std::string(what) + " must have shape (pairs, " +
                          std::to_string(expected) + ").");
  return input;
}

// apply a map of rows to each row of a matrix
template <class Map> Doubles map_rows(const Doubles &in, py::ssize_t length, Map &&map)
{
  Doubles out({in.shape(0), length});
  for (py::ssize_t row = 0; row < in.shape(0); row++)
    map(in.data(row, 0), out.mutable_data(row, 0));
  return out;
}

void check_knots(int knots)
{
  if (knots < MIN_KNOTS)
    throw py::value_error("A spline needs at least " + std::to_string(MIN_KNOTS) +
                          " knots, found " + std::to_string(knots) + ".");
}

std::unique_ptr<Frames> take_frames(std::uintptr_t lammps, const std::string &fix_id)
{
  auto *take = plugin_function<Frames *(void *, const char *)>("diffsim_take_frames");
  std::unique_ptr<Frames> frames(take(pointer(lammps), fix_id.c_str()));
  if (!frames) throw py::key_error("LAMMPS has no fix '" + fix_id + "' of style diffsim/counts.");
  return frames;
}

std::string pair_style(std::uintptr_t lammps)
{
  const char *name = plugin_function<const char *(void *)>("diffsim_pair_style")(pointer(lammps));
  return name ? name : "none";
}

}    // namespace

PYBIND11_MODULE(_core, m)
{
  m.doc() = "Compiled core of diffsim: splines, knots and recorded frames.";
  m.attr("built_for_lammps") = std::stoi(DIFFSIM_BUILT_FOR_LAMMPS);
  m.attr("built_for_torch") = DIFFSIM_BUILT_FOR_TORCH;
  m.attr("MIN_KNOTS") = MIN_KNOTS;
  py::register_exception<PotentialError>(m, "PotentialError");

  py::class_<Frames>(m, "Frames", "Frames of a run, as recorded by fix diffsim/counts.")
      .def_property_readonly("n_types", [](const Frames &f) { return f.ntypes; })
      .def_property_readonly("pressure_unit", [](const Frames &f) { return f.pressure_unit; })
      .def_property_readonly("rdf_width", [](const Frames &f) { return f.rdf_width; })
      .def("__len__", [](const Frames &f) { return f.frames; })
      .def_property_readonly("atoms",
                             [](const py::object &self) {
                               const auto &f = self.cast<const Frames &>();
                               return view(f.atoms, {f.ntypes}, self);
                             })
      .def_property_readonly("pairs",
                             [](const py::object &self) {
                               const auto &f = self.cast<const Frames &>();
                               return view(f.pairs, {type_pairs(f)}, self);
                             })
      .def_property_readonly("step", per_frame(&Frames::step))
      .def_property_readonly("volume", per_frame(&Frames::volume))
      .def_property_readonly("energy", per_frame(&Frames::energy))
      .def_property_readonly("pressure", per_frame(&Frames::pressure))
      .def_property_readonly("temperature", per_frame(&Frames::temperature))
      .def_property_readonly("counts", per_basis(&Frames::counts))
      .def_property_readonly("virial", per_basis(&Frames::virial))
      .def_property_readonly("rdf", [](const py::object &self) {
        const auto &f = self.cast<const Frames &>();
        return view(f.rdf, {f.frames, type_pairs(f), f.rdf_bins}, self);
      });

  m.def("take_frames", &take_frames, py::arg("lammps"), py::arg("fix_id"),
        "Frames of a fix diffsim/counts, moved out of LAMMPS without a copy.");

  m.def("pair_style", &pair_style, py::arg("lammps"),
        "Name of the pair style that a LAMMPS object uses, or 'none'.");

  m.def(
      "spline_coefficients",
      [](const Doubles &values) {
        const int knots = static_cast<int>(values.ndim() == 2 ? values.shape(1) : 0);
        check_knots(knots);
        return map_rows(rows(values, knots, "values"), basis_size(knots),
                        [&](const double *u, double *c) { spline_coefficients(knots, u, c); });
      },
      py::arg("values"), "Values at the knots (pairs, K) -> B-spline coefficients (pairs, K+2).");

  m.def(
      "spline_coefficients_transpose",
      [](const Doubles &gradient) {
        const int knots = static_cast<int>(gradient.ndim() == 2 ? gradient.shape(1) : 0) - 2;
        check_knots(knots);
        return map_rows(rows(gradient, knots + 2, "gradient"), knots,
                        [&](const double *dc, double *du) {
                          spline_coefficients_transpose(knots, dc, du);
                        });
      },
      py::arg("gradient"), "Transpose of spline_coefficients: (pairs, K+2) -> (pairs, K).");

  m.def(
      "spline_basis",
      [](const Doubles &r, double inner, double cutoff, int knots) {
        check_knots(knots);
        const double inv_h = (knots - 1) / (cutoff * cutoff - inner * inner);
        Doubles out({r.size(), static_cast<py::ssize_t>(basis_size(knots))});
        std::fill_n(out.mutable_data(), out.size(), 0.0);
        for (py::ssize_t i = 0; i < r.size(); i++) {
          const double s = r.data()[i] * r.data()[i];
          if (s >= cutoff * cutoff) continue;
          const SplinePosition at = spline_position(s, inner * inner, inv_h, knots);
          spline_weights(at, out.mutable_data(i, at.first_basis()));
        }
        return out;
      },
      py::arg("r"), py::arg("inner"), py::arg("cutoff"), py::arg("knots"),
      "Values B_b(r^2) of the B-splines, (n, K+2): zero from the cutoff on, continued linearly in "
      "r^2 below the innermost knot.");

  py::class_<Knots>(m, "Knots", "A potential as energies at knots uniform in r^2.")
      .def(py::init([](std::string units, std::vector<std::string> species, double cutoff,
                       std::vector<double> inner, const Doubles &values,
                       const std::optional<std::vector<double>> &outer) {
             Knots k;
             k.units = std::move(units);
             k.species = std::move(species);
             k.cutoff = cutoff;
             k.inner = std::move(inner);
             k.outer = outer.value_or(std::vector<double>(k.inner.size(), cutoff));
             if (values.ndim() != 2 || values.shape(0) != k.pairs() ||
                 static_cast<int>(k.inner.size()) != k.pairs() || k.outer.size() != k.inner.size())
               throw py::value_error("values must have shape (species pairs, K), and inner and "
                                     "outer one distance per species pair.");
             k.knots = static_cast<int>(values.shape(1));
             check_knots(k.knots);
             k.values.assign(values.data(), values.data() + values.size());
             return k;
           }),
           py::arg("units"), py::arg("species"), py::arg("cutoff"), py::arg("inner"),
           py::arg("values"), py::arg("outer") = py::none(),
           "The outermost knots are at the cutoff if `outer` is None.")
      .def_readonly("units", &Knots::units)
      .def_readonly("species", &Knots::species)
      .def_readonly("cutoff", &Knots::cutoff)
      .def_readonly("inner", &Knots::inner)
      .def_readonly("outer", &Knots::outer)
      .def_property_readonly("values",
                             [](const py::object &self) {
                               const auto &k = self.cast<const Knots &>();
                               return view(k.values, {k.pairs(), k.knots}, self);
                             })
      .def(
          "write",
          [](const Knots &k, const std::string &path) {
            std::ofstream out(path);
            write_knots(out, k);
            out.close();
            if (!out) throw PotentialError("The knots file " + path + " could not be written.");
          },
          py::arg("path"))
      .def_static(
          "read",
          [](const std::string &path) {
            std::ifstream in(path);
            if (!in) throw PotentialError("The knots file " + path + " cannot be opened.");
            return read_knots(in, path);
          },
          py::arg("path"));

  py::class_<SplineError>(m, "SplineError")
      .def_readonly("energy", &SplineError::energy)
      .def_readonly("force", &SplineError::force)
      .def_readonly("energy_at", &SplineError::energy_at)
      .def_readonly("force_at", &SplineError::force_at);

  m.def("reference_energy", &reference_energy, py::arg("units"),
        "kT at 300 K in the energy unit of a LAMMPS units style; 1 for lj.");

  m.def(
      "pair_ranges",
      [](py::function model, std::vector<std::string> species, double cutoff, std::string units) {
        const PythonFunction function(std::move(model), std::move(species), cutoff,
                                      std::move(units));
        std::vector<std::pair<double, double>> result;
        for (const Range &found : pair_ranges(function))
          result.emplace_back(found.inner, found.outer);
        return result;
      },
      py::arg("model"), py::arg("species"), py::arg("cutoff"), py::arg("units"),
      "(inner, outer) distances of each species pair of model(r, a, b) -> (u, du_dr): where the "
      "wall is, and where the energy becomes exactly zero.");

  m.def(
      "tabulate",
      [](py::function model, std::vector<std::string> species, double cutoff, std::string units,
         const std::vector<std::pair<double, double>> &ranges, double tolerance) {
        const PythonFunction function(std::move(model), std::move(species), cutoff,
                                      std::move(units));
        std::vector<Range> within;
        within.reserve(ranges.size());
        for (const auto &[inner, outer] : ranges) within.push_back({inner, outer});
        if (static_cast<int>(within.size()) !=
            unordered_pairs(static_cast<int>(function.species().size())))
          throw py::value_error("ranges must have one (inner, outer) per species pair.");
        SplineError error;
        Knots knots = tabulate(function, within, tolerance, error);
        return std::make_pair(std::move(knots), error);
      },
      py::arg("model"), py::arg("species"), py::arg("cutoff"), py::arg("units"), py::arg("ranges"),
      py::arg("tolerance"),
      "Knots within (inner, outer) of each species pair that hold a relative tolerance for "
      "model(r, a, b) -> (u, du_dr), and their error.");

  define_dynamics(m);
}
