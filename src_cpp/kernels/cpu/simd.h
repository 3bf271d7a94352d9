// Vectors of doubles as wide as the instructions that the including file is compiled for: GCC's and
// clang's vector extensions, whose arithmetic and shuffles the compiler translates for any
// processor, and the few operations that they lack.
//
// Files that include this are compiled with other instructions than the rest of the program. All of
// it is therefore in an unnamed namespace: of inline functions with external linkage the linker
// would keep one for the whole program, which would then stop on an older processor.

#ifndef DIFFSIM_KERNELS_CPU_SIMD_H
#define DIFFSIM_KERNELS_CPU_SIMD_H

#include <cstdint>

#if DIFFSIM_WIDTH > 2
#include <immintrin.h>
#endif

namespace diffsim {

namespace {

constexpr int WIDTH = DIFFSIM_WIDTH;    // 8 needs AVX-512, 4 needs AVX2, 2 any processor

using Doubles = double __attribute__((vector_size(WIDTH * sizeof(double))));
using Integers = int __attribute__((vector_size(WIDTH * sizeof(int))));
using Mask = std::int64_t __attribute__((vector_size(WIDTH * sizeof(std::int64_t))));

template <class Vector, class Value> inline Vector load(const Value *from)
{
  Vector v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class Vector, class Value> inline void store(Value *to, Vector v)
{
  __builtin_memcpy(to, &v, sizeof v);
}

// Store values that are read one by one afterwards: from memory, which is faster than taking a
// vector apart.
template <class Value, class Vector> inline void spill(Value (&to)[WIDTH], Vector v)
{
  store(to, v);
  asm("" : "+m"(to));    // or the compiler would do just that
}

inline Doubles broadcast(double value)
{
  return value - Doubles{};
}

inline Doubles smaller(Doubles a, Doubles b)
{
  return a < b ? a : b;
}

inline Doubles larger(Doubles a, Doubles b)
{
  return a > b ? a : b;
}

inline Doubles where(Mask mask, Doubles v)
{
  return mask ? v : Doubles{};
}

inline bool any_less(Doubles a, Doubles b)
{
#if DIFFSIM_WIDTH == 8
  return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ) != 0;
#elif DIFFSIM_WIDTH == 4
  return _mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_LT_OQ)) != 0;
#else
  const Mask less = a < b;
  return (less[0] | less[1]) !=
         0;    // one branch: the neighbours within the cutoff follow no pattern
#endif
}

inline double sum(Doubles v)
{
  double total = 0.0;
  for (int m = 0; m < WIDTH; m++) total += v[m];
  return total;
}

// ---- rows of four doubles: (x, y, z, 0) --------------------------------------------------

#if DIFFSIM_WIDTH > 2

using Row = double __attribute__((vector_size(4 * sizeof(double))));

inline Row load_row(const double *from)
{
  return load<Row>(from);
}

inline void store_row(double *to, Row row)
{
  store(to, row);
}

// row + d * f, and row - d * f: as one instruction each, which the compiler would not do as long as
// it can use a common product
inline Row add_product(Row row, Row d, double f)
{
  return _mm256_fmadd_pd(d, _mm256_set1_pd(f), row);
}

inline Row subtract_product(Row row, Row d, double f)
{
  return _mm256_fnmadd_pd(d, _mm256_set1_pd(f), row);
}

inline Row products_xy_xz_yz(Row a, Row b)
{
  return __builtin_shufflevector(a, a, 0, 0, 1, 3) * __builtin_shufflevector(b, b, 1, 2, 2, 3);
}

#else

struct Row {
  Doubles xy, z0;
};

inline Row load_row(const double *from)
{
  return {load<Doubles>(from), load<Doubles>(from + 2)};
}

inline void store_row(double *to, Row row)
{
  store(to, row.xy);
  store(to + 2, row.z0);
}

inline Row operator+(Row a, Row b)
{
  return {a.xy + b.xy, a.z0 + b.z0};
}

inline Row operator-(Row a, Row b)
{
  return {a.xy - b.xy, a.z0 - b.z0};
}

inline Row operator*(Row a, Row b)
{
  return {a.xy * b.xy, a.z0 * b.z0};
}

inline Row operator*(Row a, double b)
{
  return {a.xy * b, a.z0 * b};
}

inline void operator+=(Row &a, Row b)
{
  a = a + b;
}

inline Row add_product(Row row, Row d, double f)
{
  return row + d * f;
}

inline Row subtract_product(Row row, Row d, double f)
{
  return row - d * f;
}

inline Row products_xy_xz_yz(Row a, Row b)
{
  return {__builtin_shufflevector(a.xy, a.xy, 0, 0) * __builtin_shufflevector(b.xy, b.z0, 1, 2),
          __builtin_shufflevector(a.xy, a.z0, 1, 3) * b.z0};
}

#endif

#if DIFFSIM_WIDTH == 8

inline Doubles join(Row low, Row high)
{
  return _mm512_insertf64x4(_mm512_castpd256_pd512(low), high, 1);
}

#endif

// a . b of WIDTH pairs of rows
inline Doubles dot_products(const Row *a, const Row *b)
{
#if DIFFSIM_WIDTH > 2
  auto sums = [](Row p, Row q) {
    return __builtin_shufflevector(p, q, 0, 4, 2, 6) + __builtin_shufflevector(p, q, 1, 5, 3, 7);
  };
  auto four = [sums](const Row *p, const Row *q) {
    const Row ab = sums(p[0] * q[0], p[1] * q[1]);
    const Row cd = sums(p[2] * q[2], p[3] * q[3]);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) +
           __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  };
#if DIFFSIM_WIDTH == 8
  return join(four(a, b), four(a + 4, b + 4));
#else
  return four(a, b);
#endif
#else
  const Doubles p = a[0].xy * b[0].xy, q = a[1].xy * b[1].xy;
  const Doubles z = __builtin_shufflevector(a[0].z0, a[1].z0, 0, 2) *
                    __builtin_shufflevector(b[0].z0, b[1].z0, 0, 2);
  return __builtin_shufflevector(p, q, 0, 2) + __builtin_shufflevector(p, q, 1, 3) + z;
#endif
}

// x^2 + y^2 + z^2 of WIDTH rows
inline Doubles squared_lengths(const Row *d)
{
  return dot_products(d, d);
}

// WIDTH rows of four doubles, at from[0], from[1], ... -> their columns
inline void load_rows(const double *const *from, Doubles &c0, Doubles &c1, Doubles &c2, Doubles &c3)
{
#if DIFFSIM_WIDTH == 8
  auto pair = [from](int low, int high) {
    return join(load<Row>(from[low]), load<Row>(from[high]));
  };
  const Doubles a = pair(0, 2), b = pair(1, 3), c = pair(4, 6), d = pair(5, 7);
  const Doubles ab02 = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
  const Doubles ab13 = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  const Doubles cd02 = __builtin_shufflevector(c, d, 0, 8, 2, 10, 4, 12, 6, 14);
  const Doubles cd13 = __builtin_shufflevector(c, d, 1, 9, 3, 11, 5, 13, 7, 15);
  c0 = __builtin_shufflevector(ab02, cd02, 0, 1, 4, 5, 8, 9, 12, 13);
  c1 = __builtin_shufflevector(ab13, cd13, 0, 1, 4, 5, 8, 9, 12, 13);
  c2 = __builtin_shufflevector(ab02, cd02, 2, 3, 6, 7, 10, 11, 14, 15);
  c3 = __builtin_shufflevector(ab13, cd13, 2, 3, 6, 7, 10, 11, 14, 15);
#elif DIFFSIM_WIDTH == 4
  const auto a = load<Row>(from[0]), b = load<Row>(from[1]);
  const auto c = load<Row>(from[2]), d = load<Row>(from[3]);
  const Doubles ab02 = __builtin_shufflevector(a, b, 0, 4, 2, 6);
  const Doubles ab13 = __builtin_shufflevector(a, b, 1, 5, 3, 7);
  const Doubles cd02 = __builtin_shufflevector(c, d, 0, 4, 2, 6);
  const Doubles cd13 = __builtin_shufflevector(c, d, 1, 5, 3, 7);
  c0 = __builtin_shufflevector(ab02, cd02, 0, 1, 4, 5);
  c1 = __builtin_shufflevector(ab13, cd13, 0, 1, 4, 5);
  c2 = __builtin_shufflevector(ab02, cd02, 2, 3, 6, 7);
  c3 = __builtin_shufflevector(ab13, cd13, 2, 3, 6, 7);
#else
  const auto a01 = load<Doubles>(from[0]), a23 = load<Doubles>(from[0] + 2);
  const auto b01 = load<Doubles>(from[1]), b23 = load<Doubles>(from[1] + 2);
  c0 = __builtin_shufflevector(a01, b01, 0, 2);
  c1 = __builtin_shufflevector(a01, b01, 1, 3);
  c2 = __builtin_shufflevector(a23, b23, 0, 2);
  c3 = __builtin_shufflevector(a23, b23, 1, 3);
#endif
}

}    // namespace

}    // namespace diffsim

#endif
