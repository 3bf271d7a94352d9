// A neighbour list as the threads of a GPU read it: the atoms of the list in slices of 32, and the
// k-th neighbours of the atoms of a slice side by side, so that threads side by side read one
// stretch of memory.

#ifndef DIFFSIM_KERNELS_CUDA_SLICED_LIST_H
#define DIFFSIM_KERNELS_CUDA_SLICED_LIST_H

#include "runtime.h"

#include <vector>

namespace diffsim {

constexpr int SLICE = 32;    // threads that go in step

struct SlicedListView {
  int inum;
  int index_mask, special_shift;    // of an entry, as in NeighborPairs
  const int *ilist;                 // [inum]
  const int *numneigh;              // [inum]
  const std::int64_t *first;        // [slices] of the entries of a slice
  const int *entries;

  // The k-th entry of the ii-th atom of the list is entries_of(ii)[k * SLICE].
  __device__ const int *entries_of(int ii) const
  {
    return entries + first[ii / SLICE] + ii % SLICE;
  }
};

// The weight of a kind of bonded neighbour.  An index that is not known when the kernel is compiled
// would put the four numbers into slow memory.
template <class Real>
__device__ inline Real weight_of(const Real *special, int kind)
{
  Real weight = special[0];
  if (kind == 1) weight = special[1];
  if (kind == 2) weight = special[2];
  if (kind == 3) weight = special[3];
  return weight;
}

class SlicedList {
 public:
  // Takes over a list; it is on the GPU for all that comes later in the stream.
  void set(const NeighborPairs &pairs, Stream &stream);

  SlicedListView view() const;
  // the atoms of the list, on this side
  const std::vector<int> &atoms() const { return atoms_; }

 private:
  void fill(const NeighborPairs &pairs, int slice, int *to) const;
  void upload_entries(const NeighborPairs &pairs, std::int64_t widest, Stream &stream);

  int index_mask_ = 0, special_shift_ = 0;
  std::vector<int> atoms_;
  std::vector<std::int64_t> place_;    // [slices + 1]
  OnGpu<int> ilist_, numneigh_, entries_;
  OnGpu<std::int64_t> first_;
  Pinned<int> ilist_sent_, numneigh_sent_;
  Pinned<std::int64_t> first_sent_;
  // a part is filled while the other one is on its way
  Pinned<int> part_[2];
  Event sent_[2];
};

}    // namespace diffsim

#endif
