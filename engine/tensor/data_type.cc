// Names and sizes of the element types: one table.
#include "engine/tensor/data_type.h"

#include <iterator>

namespace precis {
namespace {

struct Row {
  size_t size_bytes;
  absl::string_view name;
  absl::string_view kserve;
};

constexpr Row kRows[] = {
    {4, "f32", "FP32"},  {8, "f64", "FP64"},   {2, "f16", "FP16"},   {2, "bf16", "BF16"}, {1, "s8", "INT8"},
    {1, "u8", "UINT8"},  {2, "s16", "INT16"},  {2, "u16", "UINT16"}, {4, "s32", "INT32"}, {4, "u32", "UINT32"},
    {8, "s64", "INT64"}, {8, "u64", "UINT64"}, {1, "bool", "BOOL"},
};

const Row& RowOf(DataType type) { return kRows[static_cast<size_t>(type)]; }

}  // namespace

size_t SizeOf(DataType type) { return RowOf(type).size_bytes; }
absl::string_view Name(DataType type) { return RowOf(type).name; }
absl::string_view KServeName(DataType type) { return RowOf(type).kserve; }

std::optional<DataType> DataTypeFromKServeName(absl::string_view name) {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (kRows[i].kserve == name) return static_cast<DataType>(i);
  }
  return std::nullopt;
}

}  // namespace precis
