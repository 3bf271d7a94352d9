// Numpy arrays of what Python owns, and functions of the plugin.

#ifndef DIFFSIM_PYTHON_ARRAYS_H
#define DIFFSIM_PYTHON_ARRAYS_H

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <dlfcn.h>

#include <stdexcept>
#include <utility>
#include <vector>

namespace diffsim::python {

using Doubles = pybind11::array_t<double, pybind11::array::c_style | pybind11::array::forcecast>;

// A numpy view of a member of an object that Python owns; the view keeps the object alive
template <class Value>
pybind11::array view(const std::vector<Value> &values, std::vector<pybind11::ssize_t> shape,
                     pybind11::handle owner)
{
  pybind11::array array(pybind11::dtype::of<Value>(), std::move(shape), values.data(), owner);
  pybind11::detail::array_proxy(array.ptr())->flags &=
      ~pybind11::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return array;
}

// A C function of the plugin, which LAMMPS has loaded into the process with global symbols
template <class Function>
Function *plugin_function(const char *name)
{
  auto *function = reinterpret_cast<Function *>(dlsym(RTLD_DEFAULT, name));
  if (!function)
    throw std::runtime_error("The diffsim plugin is not loaded into this process. Create the "
                             "lammps object after the diffsim package was installed; 'diffsim "
                             "doctor' shows whether LAMMPS finds the plugin.");
  return function;
}

// Python knows the LAMMPS object by its address
inline void *pointer(std::uintptr_t lammps)
{
  return reinterpret_cast<void *>(lammps);    // NOLINT(performance-no-int-to-ptr)
}

}    // namespace diffsim::python

#endif
