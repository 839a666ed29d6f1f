#ifndef PRECIS_ENGINE_KERNELS_CAST_H_
#define PRECIS_ENGINE_KERNELS_CAST_H_

#include <cstdint>

#include "engine/tensor/data_type.h"

namespace precis::kernels {

// Converts `count` elements from one type to another; see cast.cc for the rules. Thread-safe.
using CastFunction = void (*)(const void* from, void* to, int64_t count);
CastFunction FindCast(DataType from, DataType to);

}  // namespace precis::kernels

#endif  // PRECIS_ENGINE_KERNELS_CAST_H_
