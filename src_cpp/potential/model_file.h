// From a model file to the potential that is simulated: the file is an archive or a knots file.

#ifndef DIFFSIM_POTENTIAL_MODEL_FILE_H
#define DIFFSIM_POTENTIAL_MODEL_FILE_H

#include "knots.h"

#include <memory>

namespace diffsim {

// What one process reads and the others are sent.
struct ModelFile {
  Knots knots;            // of the species that are used, in the order of the model
  std::string archive;    // the bytes of the TorchScript archive; empty if it is a knots file
  std::string report;     // a line about the tabulation, empty for a knots file
};

// Reads a file and tabulates its model to the tolerance.  names[type-1] is the species of a type,
// or NULL.  Throws PotentialError if the file cannot be read, breaks the contract of a model, or
// does not know one of the species.
ModelFile read_model(const std::string &path, const std::vector<std::string> &names,
                     double tolerance);

// The model with fewer species: those in `names`, in the order of the model.
std::unique_ptr<PairFunction> with_species(std::unique_ptr<PairFunction> model,
                                           const std::vector<std::string> &names);

// The number of each type's species among `species`, -1 for NULL.  Throws PotentialError for a
// species that is not there.
std::vector<int> number_species(const std::vector<std::string> &names,
                                const std::vector<std::string> &species);

}    // namespace diffsim

#endif
