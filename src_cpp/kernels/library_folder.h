// Where libraries are found that belong to this one.

#ifndef DIFFSIM_KERNELS_LIBRARY_FOLDER_H
#define DIFFSIM_KERNELS_LIBRARY_FOLDER_H

#include <string>

namespace diffsim {

// The folder of the shared library, or the program, that this function is linked into; "." if
// nobody knows.
std::string library_folder();

}    // namespace diffsim

#endif
