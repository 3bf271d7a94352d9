#include "sliced_list.h"

#include <algorithm>

namespace diffsim {

namespace {

constexpr std::int64_t PART = 1 << 20;    // entries that are on their way at a time

}    // namespace

void SlicedList::set(const NeighborPairs &pairs, Stream &stream)
{
  const int inum = pairs.inum;
  const int slices = (inum + SLICE - 1) / SLICE;
  index_mask_ = pairs.index_mask;
  special_shift_ = pairs.special_shift;
  atoms_.assign(pairs.ilist, pairs.ilist + inum);
  ilist_.reserve(inum);
  numneigh_.reserve(inum);
  first_.reserve(slices);
  ilist_sent_.reserve(inum);
  numneigh_sent_.reserve(inum);
  first_sent_.reserve(slices);
  place_.assign(slices + 1, 0);
  std::int64_t widest = 0;
  for (int slice = 0; slice < slices; slice++) {
    std::int64_t longest = 0;
    for (int ii = slice * SLICE; ii < std::min((slice + 1) * SLICE, inum); ii++) {
      ilist_sent_[ii] = atoms_[ii];
      numneigh_sent_[ii] = pairs.numneigh[atoms_[ii]];
      longest = std::max<std::int64_t>(longest, numneigh_sent_[ii]);
    }
    first_sent_[slice] = place_[slice];
    place_[slice + 1] = place_[slice] + SLICE * longest;
    widest = std::max(widest, SLICE * longest);
  }
  stream.upload(ilist_, 0, ilist_sent_.data(), inum);
  stream.upload(numneigh_, 0, numneigh_sent_.data(), inum);
  stream.upload(first_, 0, first_sent_.data(), slices);
  upload_entries(pairs, widest, stream);
  // what was sent from may be overwritten from here on
  stream.finish();
}

void SlicedList::upload_entries(const NeighborPairs &pairs, std::int64_t widest, Stream &stream)
{
  const int slices = static_cast<int>(place_.size()) - 1;
  entries_.reserve(place_[slices]);
  const std::int64_t size = std::max(PART, widest);
  for (auto &part : part_) part.reserve(std::min(size, place_[slices]));
  int begin = 0;
  for (int turn = 0; begin < slices; turn = 1 - turn) {
    int end = begin + 1;
    while (end < slices && place_[end + 1] - place_[begin] <= size) end++;
    const std::int64_t start = place_[begin];
    sent_[turn].finish();
    for (int slice = begin; slice < end; slice++)
      fill(pairs, slice, part_[turn].data() + (place_[slice] - start));
    stream.upload(entries_, start, part_[turn].data(), place_[end] - start);
    sent_[turn].record(stream);
    begin = end;
  }
}

// The entries of a slice, side by side; zeros where an atom has fewer than others.
void SlicedList::fill(const NeighborPairs &pairs, int slice, int *to) const
{
  const std::int64_t longest = (place_[slice + 1] - place_[slice]) / SLICE;
  for (int lane = 0; lane < SLICE; lane++) {
    const int ii = slice * SLICE + lane;
    const bool is_atom = ii < static_cast<int>(atoms_.size());
    const int n = is_atom ? pairs.numneigh[atoms_[ii]] : 0;
    const int *const neighbors = is_atom ? pairs.firstneigh[atoms_[ii]] : nullptr;
    for (std::int64_t k = 0; k < longest; k++) to[k * SLICE + lane] = k < n ? neighbors[k] : 0;
  }
}

SlicedListView SlicedList::view() const
{
  return {static_cast<int>(atoms_.size()),
          index_mask_,
          special_shift_,
          ilist_.data(),
          numneigh_.data(),
          first_.data(),
          entries_.data()};
}

}    // namespace diffsim
