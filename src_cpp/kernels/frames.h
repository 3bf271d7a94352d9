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
  double pressure_unit = 0.0;         // pressure of an energy density of one (LAMMPS's nktv2p)
  std::vector<std::int64_t> atoms;    // [ntypes] number of atoms of each type
  std::vector<std::int64_t>
      pairs;                         // [pairs of types] pairs of atoms that the histogram can count
  std::vector<std::int64_t> step;    // [frames]
  std::vector<double> volume;        // [frames]
  std::vector<double> energy;        // [frames] potential energy of the whole system
  std::vector<double> pressure;      // [frames]
  std::vector<double> temperature;    // [frames] kinetic temperature
  std::vector<double> counts;         // [frames][pairs of types][basis]
  std::vector<double> virial;         // [frames][pairs of types][basis], sums of 2 s B_b'(s)
  std::vector<double> rdf;            // [frames][pairs of types][rdf_bins], each pair counted once
};

// Appends the frames of a later run of the same system in the same potential.
inline void append(Frames &to, const Frames &from)
{
  to.frames += from.frames;
  to.step.insert(to.step.end(), from.step.begin(), from.step.end());
  for (const auto member : {&Frames::volume, &Frames::energy, &Frames::pressure,
                            &Frames::temperature, &Frames::counts, &Frames::virial, &Frames::rdf})
    (to.*member).insert((to.*member).end(), (from.*member).begin(), (from.*member).end());
}

}    // namespace diffsim

#endif
