#include "engine/plan/few_rows.h"

#include <cstring>

namespace precis::plan {

void PadRows(DataType source, const uint8_t* from, int64_t rows, int64_t k, int64_t padded_k, uint8_t* to) {
  const auto moved_by = static_cast<uint8_t>(MovedBy(source));
  for (int64_t row = 0; row < rows; ++row, from += k, to += padded_k) {
    for (int64_t i = 0; i < k; ++i) to[i] = static_cast<uint8_t>(from[i] + moved_by);
    std::memset(to + k, 0, static_cast<size_t>(padded_k - k));
  }
}

}  // namespace precis::plan
