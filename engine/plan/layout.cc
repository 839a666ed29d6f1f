// Descriptors of the layouts that the plan itself asks for, and their inspection.
#include <algorithm>

#include "engine/plan/builder.h"

namespace precis::plan {

dnnl::memory::data_type DnnlType(DataType type) {
  using T = dnnl::memory::data_type;
  switch (type) {
    case DataType::kF32: return T::f32;
    case DataType::kF16: return T::f16;
    case DataType::kBF16: return T::bf16;
    case DataType::kS8: return T::s8;
    case DataType::kU8: return T::u8;
    case DataType::kS32: return T::s32;
    case DataType::kF64:
    case DataType::kS16:
    case DataType::kU16:
    case DataType::kU32:
    case DataType::kS64:
    case DataType::kU64:
    case DataType::kBool: return T::undef;
  }
  return T::undef;
}

DataType TypeOf(const Desc& desc) {
  using T = dnnl::memory::data_type;
  switch (desc.get_data_type()) {
    case T::f16: return DataType::kF16;
    case T::bf16: return DataType::kBF16;
    case T::s8: return DataType::kS8;
    case T::u8: return DataType::kU8;
    case T::s32: return DataType::kS32;
    default: return DataType::kF32;
  }
}

dnnl::memory::dims Dims(const Shape& shape) { return shape.empty() ? dnnl::memory::dims{1} : shape; }

Desc RowMajor(const Shape& shape, DataType type) {
  const auto dims = Dims(shape);
  const auto dnnl_type = DnnlType(type);
  if (dnnl_type == dnnl::memory::data_type::undef || dims.size() > DNNL_MAX_NDIMS) return {};
  return {dims, dnnl_type, RowMajorStrides(dims)};
}

Desc ChannelsLast(const Shape& shape, DataType type) {
  if (shape.size() < 3) return RowMajor(shape, type);
  Shape strides(shape.size());
  strides[1] = 1;
  int64_t step = shape[1];
  for (size_t i = shape.size(); i-- > 2;) {
    strides[i] = step;
    step *= shape[i];
  }
  strides[0] = step;
  return {shape, DnnlType(type), strides};
}

Desc AnyLayout(const Shape& shape, DataType type) {
  return {Dims(shape), DnnlType(type), dnnl::memory::format_tag::any};
}

std::optional<std::vector<int>> DenseOrder(const Desc& desc) {
  if (desc.get_format_kind() != dnnl::memory::format_kind::blocked || desc.get_inner_nblks() != 0) return std::nullopt;
  const auto dims = desc.get_dims();
  const auto strides = desc.get_strides();
  std::vector<int> real;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] != 1) real.push_back(static_cast<int>(d));  // a dimension of size 1 may carry any stride
  }
  std::stable_sort(real.begin(), real.end(),
                   [&](int a, int b) { return strides[static_cast<size_t>(a)] > strides[static_cast<size_t>(b)]; });
  int64_t step = 1;
  for (size_t i = real.size(); i-- > 0;) {
    if (strides[static_cast<size_t>(real[i])] != step) return std::nullopt;
    step *= dims[static_cast<size_t>(real[i])];
  }
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) real.push_back(static_cast<int>(d));
  }
  return real;
}

}  // namespace precis::plan
