#include "../pair_kernels.h"

#include <stdexcept>

namespace diffsim {

namespace {

constexpr const char *NAMES[] = {"portable", "avx2", "avx512"};
constexpr Instructions ALL[] = {Instructions::PORTABLE, Instructions::AVX2, Instructions::AVX512};

bool available(Instructions instructions)
{
#ifdef DIFFSIM_X86_KERNELS
  // these also ask the operating system, which must save the registers
  if (instructions == Instructions::AVX512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
  if (instructions == Instructions::AVX2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return instructions == Instructions::PORTABLE;
}

}    // namespace

const char *name(Instructions instructions)
{
  return NAMES[static_cast<int>(instructions)];
}

Instructions fastest_instructions()
{
  if (available(Instructions::AVX512)) return Instructions::AVX512;
  if (available(Instructions::AVX2)) return Instructions::AVX2;
  return Instructions::PORTABLE;
}

Instructions instructions_named(const std::string &name)
{
  std::string here;
  for (const Instructions instructions : ALL) {
    if (!available(instructions)) continue;
    if (name == diffsim::name(instructions)) return instructions;
    here += (here.empty() ? "" : ", ") + std::string(diffsim::name(instructions));
  }
  throw std::invalid_argument("the instructions must be one of those that this processor has (" +
                              here + "), but are '" + name + "'");
}

}    // namespace diffsim
