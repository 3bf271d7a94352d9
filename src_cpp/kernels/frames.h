// The record of a run: what the backward pass needs of every stored frame.

#ifndef DIFFSIM_KERNELS_FRAMES_H
#define DIFFSIM_KERNELS_FRAMES_H

#include <cstdint>
#include <vector>

namespace diffsim {

struct Frames {
  int frames = 0;
  int ntypes = 0;
  int basis = 0;    // B-splines per pair of types; 0 if the run had no diffsim potential
  int rdf_bins = 0;
  double rdf_width = 0.0;             // of a bin
  std::vector<std::int64_t> atoms;    // [ntypes] number of atoms of each type
  std::vector<std::int64_t> step;     // [frames]
  std::vector<double> volume;         // [frames]
  std::vector<double> energy;         // [frames] potential energy of the whole system
  std::vector<double> pressure;       // [frames]
  std::vector<double> temperature;    // [frames] kinetic temperature
  std::vector<double> counts;         // [frames][pairs of types][basis]
  std::vector<double> rdf;            // [frames][pairs of types][rdf_bins], each pair counted once
};

}    // namespace diffsim

#endif
