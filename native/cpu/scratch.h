// Temporary memory that a thread keeps, so that steady state allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spherenet::cpu {

/// Who holds a piece of scratch; two uses that overlap in time on one thread need different slots.
enum class ScratchSlot {
  PackedWeights,
  PackedRows,
  Window,
  PackedColumns,
  RowTable,
  RowStarts,
  RunStarts,
  RowValues,
  FilterConstants,
  FollowingConstants,
  NormConstants,
  FilterNorms,
  ScaledFilters,
  Partials,
  Output,
  RoundedFilters,
  AngleGradient,
  PatchGradient,
  FilterSums,
  TransformedFilters,
  TransformedTiles,
  PixelValues,
  TileValues,
  TileFlags,
  StandIns,
  Count = StandIns + 5
};

/// Slots from ScratchSlot::StandIns on.
constexpr int kStandIns = static_cast<int>(ScratchSlot::Count) - static_cast<int>(ScratchSlot::StandIns);

/// At least `bytes` bytes, 64-byte aligned, uninitialised, valid until this thread asks for the same slot
/// again.
void* scratchBytes(ScratchSlot slot, size_t bytes);

template <class T>
T* scratch(ScratchSlot slot, int64_t count) {
  return static_cast<T*>(scratchBytes(slot, static_cast<size_t>(count) * sizeof(T)));
}

}  // namespace spherenet::cpu
