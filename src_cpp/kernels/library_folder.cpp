#include "library_folder.h"

#include <dlfcn.h>

namespace diffsim {

std::string library_folder()
{
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&library_folder), &info) || !info.dli_fname) return ".";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}    // namespace diffsim
