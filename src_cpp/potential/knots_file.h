// Knots as a text file: the potential that is simulated, for machines without PyTorch and for the
// driver, which evaluates the model itself.
//
//     # any number of comment lines
//     diffsim-knots 1
//     units lj
//     cutoff 2.5
//     knots 2049
//     species A B
//     pair A A inner 0.7 outer 2.5
//     <r> <u>            one line a knot, r^2 uniform from inner^2 to outer^2
//     pair A B inner ...

#ifndef DIFFSIM_POTENTIAL_KNOTS_FILE_H
#define DIFFSIM_POTENTIAL_KNOTS_FILE_H

#include "knots.h"

#include <iosfwd>

namespace diffsim {

// Throws PotentialError that names the line and what was expected there.
Knots read_knots(std::istream &in, const std::string &path);

// Writes every number with the digits that bring it back to the last bit.
void write_knots(std::ostream &out, const Knots &knots);

}    // namespace diffsim

#endif
