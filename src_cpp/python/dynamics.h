// The part of the Python module that is about trajectories.

#ifndef DIFFSIM_PYTHON_DYNAMICS_H
#define DIFFSIM_PYTHON_DYNAMICS_H

#include <pybind11/pybind11.h>

void define_dynamics(pybind11::module_ &m);

#endif
