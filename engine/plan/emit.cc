// Emission: steps with their layers, scratchpads and byte counts; reorders; constants packed at load.
#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/plan/builder.h"
#include "engine/plan/narrow_float.h"
#include "engine/plan/threads.h"

namespace precis::plan {
namespace {

using ir::kNoValue;
using ir::ValueId;

// Content hash that tells apart constants of equal name in graphs specialised to different shapes (FNV-1a over 8-byte words).
uint64_t Hash(const Tensor& tensor) {
  constexpr uint64_t kPrime = 0x100000001b3;
  uint64_t hash = 0xcbf29ce484222325;
  const auto* bytes = static_cast<const unsigned char*>(tensor.data());
  size_t i = 0;
  for (const size_t n = tensor.size_bytes(); i < n;) {
    uint64_t word = 0;
    const size_t step = std::min<size_t>(8, n - i);
    std::memcpy(&word, bytes + i, step);
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 29;
    i += step;
  }
  return hash;
}

std::string KeyOf(const ir::Value& v) { return absl::StrCat(v.name, "|", Hash(*v.constant), "|"); }

std::string KeyOf(const ir::Value& v, const Desc& source, const Desc& desc) {
  std::string key = KeyOf(v);
  for (Desc d : {source, desc}) {
    const std::vector<uint8_t> blob = d.get_blob();
    key.append(blob.begin(), blob.end());
  }
  return key;
}

// Runs a reorder now, at load.
void ReorderNow(const dnnl::engine& engine, const Desc& from, const void* src, const Desc& to, void* dst) {
  dnnl::memory a(from, engine, const_cast<void*>(src));
  dnnl::memory b(to, engine, dst);
  dnnl::stream stream(engine);
  dnnl::reorder(a, b).execute(stream, a, b);
  stream.wait();
}

std::string QuantName(const ir::Value& v) { return std::string(Name(v.dtype)); }

// Operators that must not run on plain loops in a network that cares for speed.
bool IsHeavy(const ir::Op& op) {
  return std::visit(
      [](const auto& o) {
        using T = std::decay_t<decltype(o)>;
        return std::is_same_v<T, ir::Conv> || std::is_same_v<T, ir::ConvTranspose> || std::is_same_v<T, ir::MatMul> ||
               std::is_same_v<T, ir::Pool> || std::is_same_v<T, ir::GlobalPool> || std::is_same_v<T, ir::LayerNorm> ||
               std::is_same_v<T, ir::Softmax> || std::is_same_v<T, ir::Recurrent>;
      },
      op);
}

// The dispatch over operators.
struct Lower {
  Builder& b;
  ir::NodeId id;
  absl::Status operator()(const ir::Conv& o) const { return LowerConv(b, id, o); }
  absl::Status operator()(const ir::ConvTranspose& o) const { return LowerConvTranspose(b, id, o); }
  absl::Status operator()(const ir::MatMul& o) const { return LowerMatMul(b, id, o); }
  absl::Status operator()(const ir::Pool& o) const { return LowerPool(b, id, o); }
  absl::Status operator()(const ir::GlobalPool& o) const { return LowerGlobalPool(b, id, o); }
  absl::Status operator()(const ir::Resize& o) const { return LowerResize(b, id, o); }
  absl::Status operator()(const ir::InstanceNorm& o) const { return LowerInstanceNorm(b, id, o); }
  absl::Status operator()(const ir::GroupNorm& o) const { return LowerGroupNorm(b, id, o); }
  absl::Status operator()(const ir::LayerNorm& o) const { return LowerLayerNorm(b, id, o); }
  absl::Status operator()(const ir::Recurrent& o) const { return LowerRecurrent(b, id, o); }
  absl::Status operator()(const ir::Softmax& o) const { return LowerSoftmax(b, id, o); }
  absl::Status operator()(const ir::Unary& o) const { return LowerUnary(b, id, o); }
  absl::Status operator()(const ir::Binary& o) const { return LowerBinary(b, id, o); }
  absl::Status operator()(const ir::Concat& o) const { return LowerConcat(b, id, o); }
  absl::Status operator()(const ir::Split& o) const { return LowerSplit(b, id, o); }
  absl::Status operator()(const ir::Slice&) const { return LowerSlice(b, id); }
  absl::Status operator()(const ir::Transpose& o) const { return LowerTranspose(b, id, o); }
  absl::Status operator()(const ir::Convert&) const { return LowerConvert(b, id); }
  absl::Status operator()(const ir::Reshape&) const { return LowerReshape(b, id); }
  absl::Status operator()(const ir::Flatten&) const { return LowerReshape(b, id); }
  absl::Status operator()(const ir::Squeeze&) const { return LowerReshape(b, id); }
  absl::Status operator()(const ir::Unsqueeze&) const { return LowerReshape(b, id); }
  absl::Status operator()(const ir::Identity&) const { return LowerReshape(b, id); }
  // What is left has no oneDNN primitive of its own.
  template <typename Other>
  absl::Status operator()(const Other&) const {
    return absl::UnimplementedError("");
  }
};

}  // namespace

int Builder::BeginLayer(const std::string& name, const std::string& op, const std::string& precision,
                        const std::string& note) {
  LayerInfo info;
  info.name = name;
  info.op = op;
  info.precision = precision;
  info.note = note;
  plan_.layers.push_back(std::move(info));
  return static_cast<int>(plan_.layers.size()) - 1;
}

std::string Builder::PrecisionOf(ir::NodeId id) const {
  const ir::Node& n = graph_.node(id);
  std::string text;
  const size_t operands = std::holds_alternative<ir::Conv>(n.op) || std::holds_alternative<ir::ConvTranspose>(n.op) ||
                                  std::holds_alternative<ir::MatMul>(n.op) || std::holds_alternative<ir::Binary>(n.op)
                              ? 2
                              : 1;
  for (size_t i = 0; i < std::min(operands, n.inputs.size()); ++i) {
    if (n.inputs[i] != kNoValue) absl::StrAppend(&text, i ? "*" : "", QuantName(value(n.inputs[i])));
  }
  for (ValueId v : n.outputs) {
    if (v == kNoValue) continue;
    std::string out = QuantName(value(v));
    if (text == out || text == absl::StrCat(out, "*", out)) return out;
    return absl::StrCat(text, "->", out);
  }
  return text;
}

void Builder::AccountBytes(const Step& step) {
  LayerInfo& info = plan_.layers[static_cast<size_t>(step.layer)];
  const auto count = [&](int m) {
    if (m < 0) return;
    const Memory& mem = memory(m);
    const int64_t bytes = !IsEmpty(mem.desc) ? static_cast<int64_t>(mem.desc.get_size())
                                             : NumElements(mem.shape) * static_cast<int64_t>(SizeOf(mem.dtype));
    (buffers_[static_cast<size_t>(BufferOf(m))].storage == Storage::kConstant ? info.weight_bytes
                                                                              : info.activation_bytes) += bytes;
  };
  for (const Argument& a : step.arguments) {
    if (a.dnnl_arg != DNNL_ARG_SCRATCHPAD) count(a.memory);
  }
  for (int m : step.inputs) count(m);
  for (int m : step.outputs) count(m);
}

void Builder::EmitPrimitive(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& pd,
                            std::vector<Argument> arguments, bool heavy) {
  if (const Desc scratch = pd.scratchpad_desc(); !IsEmpty(scratch) && scratch.get_size() > 0) {
    arguments.push_back({DNNL_ARG_SCRATCHPAD, Temporary(scratch)});
  }
  LayerInfo& info = plan_.layers[static_cast<size_t>(layer_)];
  const std::string implementation = pd.impl_info_str();
  if (!absl::EndsWith(info.implementation, implementation))  // chunks of one sum repeat theirs
    absl::StrAppend(&info.implementation, info.implementation.empty() ? "" : " + ", implementation);
  if (heavy && absl::StrContains(implementation, "ref")) info.slow_reference = true;
  Step step;
  step.layer = layer_;
  step.primitive = primitive;
  step.arguments = std::move(arguments);
  for (const Argument& a : step.arguments) Touch(a.memory);
  AccountBytes(step);
  plan_.steps.push_back(std::move(step));
}

void Builder::EmitKernel(kernels::Kernel kernel, std::vector<int> inputs, std::vector<int> outputs,
                         const std::string& implementation) {
  LayerInfo& info = plan_.layers[static_cast<size_t>(layer_)];
  absl::StrAppend(&info.implementation, info.implementation.empty() ? "" : " + ", implementation);
  Step step;
  step.layer = layer_;
  step.kernel = std::move(kernel);
  step.inputs = std::move(inputs);
  step.outputs = std::move(outputs);
  for (int m : step.inputs) {
    if (m >= 0) Touch(m);
  }
  for (int m : step.outputs) {
    if (m >= 0) Touch(m);
  }
  AccountBytes(step);
  plan_.steps.push_back(std::move(step));
}

void Builder::EmitReorder(int src, const ir::QuantParams* src_quant, int dst, const ir::QuantParams* dst_quant) {
  if (NumElements(memory(src).shape) == 0) return;
  const int node_layer = layer_;
  const std::string precision = memory(src).dtype == memory(dst).dtype
                                    ? std::string(Name(memory(src).dtype))
                                    : absl::StrCat(Name(memory(src).dtype), "->", Name(memory(dst).dtype));
  layer_ = BeginLayer(absl::StrCat(plan_.layers[static_cast<size_t>(node_layer)].name, "/reorder"), "Reorder",
                      precision, "");
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  std::vector<Argument> arguments = {{DNNL_ARG_FROM, src}, {DNNL_ARG_TO, dst}};
  const auto quantize = [&](const ir::QuantParams* q, int arg) {
    if (q == nullptr) return;
    attr.set_scales_mask(arg, q->per_tensor() ? 0 : 1 << q->axis);
    arguments.push_back({DNNL_ARG_ATTR_SCALES | arg, ConstantF32(q->scales)});
    if (q->zero_point() != 0) {
      attr.set_zero_points_mask(arg, 0);
      arguments.push_back({DNNL_ARG_ATTR_ZERO_POINTS | arg, ConstantS32(q->zero_point())});
    }
  };
  quantize(src_quant, DNNL_ARG_FROM);
  quantize(dst_quant, DNNL_ARG_TO);
  const dnnl::reorder::primitive_desc pd(engine(), memory(src).desc, engine(), memory(dst).desc, attr);
  EmitPrimitive(dnnl::reorder(pd), pd, std::move(arguments), false);
  layer_ = node_layer;
}

// --- Constants ---

int Builder::ConstantMemory(ValueId id) {
  std::shared_ptr<const Tensor> tensor = value(id).constant;
  if (Stored(id) != tensor->dtype()) {  // a 16-bit constant operand on f32 arithmetic: widened once, at load
    const auto wide = std::make_shared<Tensor>(DataType::kF32, tensor->shape());
    const std::vector<float> values = ToFloat(tensor->view());
    std::copy(values.begin(), values.end(), wide->As<float>().begin());
    tensor = wide;
  }
  const int buffer = NewBuffer(Storage::kConstant, 0);
  buffers_[static_cast<size_t>(buffer)].constant = tensor->data();
  plan_.constants.push_back(tensor);
  plan_.weight_bytes += static_cast<int64_t>(tensor->size_bytes());
  return NewMemory(buffer, tensor->dtype(), tensor->shape(), RowMajor(tensor->shape(), tensor->dtype()));
}

int Builder::PackedConstant(ValueId id, const void* bytes, const Desc& source, const Desc& desc) {
  const ir::Value& v = value(id);
  std::shared_ptr<const void> packed;
  if (source == desc) {
    packed = std::shared_ptr<const void>(v.constant, v.constant->data());
  } else {
    packed = store_.GetOrMake(KeyOf(v, source, desc), [&] {
      auto block = store_.Allocate(desc.get_size());
      ReorderNow(engine(), source, bytes, desc, block.get());
      return std::shared_ptr<const void>(block);
    });
  }
  return HeldConstant(std::move(packed), desc);
}

int Builder::UseWeightMatrix(ValueId id, const Desc& source, int64_t rows, const Desc& desc) {
  const ir::Value& v = value(id);
  const auto packed = store_.GetOrMake(KeyOf(v, source, desc), [&] {
    const Desc dense = RowMajor(Shape(source.get_dims()), v.dtype);
    const auto ordered = AllocateAligned(dense.get_size());
    ReorderNow(engine(), source, v.constant->data(), dense, ordered.get());
    auto block = store_.Allocate(desc.get_size());
    const Desc matrix = RowMajor({rows, NumElements(Shape(source.get_dims())) / rows}, v.dtype);
    ReorderNow(engine(), matrix, ordered.get(), desc, block.get());
    return std::shared_ptr<const void>(block);
  });
  return HeldConstant(packed, desc);
}

int Builder::UsePacked(ValueId id, const std::string& layout, int64_t size_bytes,
                       const std::function<void(void*)>& pack) {
  const auto packed = store_.GetOrMake(absl::StrCat(KeyOf(value(id)), layout), [&] {
    auto block = store_.Allocate(static_cast<size_t>(size_bytes));
    pack(block.get());
    return std::shared_ptr<const void>(block);
  });
  return HeldConstant(packed, RowMajor({size_bytes}, DataType::kS8));
}

int Builder::HeldConstant(std::shared_ptr<const void> bytes, const Desc& desc) {
  plan_.weight_bytes += static_cast<int64_t>(desc.get_size());
  const int buffer = NewBuffer(Storage::kConstant, 0);
  buffers_[static_cast<size_t>(buffer)].constant = bytes.get();
  plan_.constants.push_back(std::move(bytes));
  return NewMemory(buffer, TypeOf(desc), Shape(desc.get_dims()), desc);
}

int Builder::UseWeights(ValueId id, const Desc& source, const Desc& desc) {
  const ir::Value& v = value(id);
  const bool is_narrow = v.dtype == DataType::kF16 || v.dtype == DataType::kBF16;
  if (!is_narrow || desc.get_data_type() != dnnl::memory::data_type::f32)
    return PackedConstant(id, v.constant->data(), source, desc);
  // Held narrow, in the wide layout's order; widened into scratch by a kernel of the same node.
  const auto count = static_cast<int64_t>(desc.get_size() / sizeof(float));
  const auto packed = store_.GetOrMake(KeyOf(v, source, desc), [&] {
    const auto wide = AllocateAligned(desc.get_size());
    const std::vector<float> values = ToFloat(v.constant->view());
    const Desc wide_source(source.get_dims(), dnnl::memory::data_type::f32, source.get_strides());
    ReorderNow(engine(), wide_source, values.data(), desc, wide.get());
    auto narrow = store_.Allocate(static_cast<size_t>(count) * sizeof(uint16_t));
    Narrow(v.dtype, static_cast<const float*>(wide.get()), static_cast<uint16_t*>(narrow.get()), count);
    return std::shared_ptr<const void>(narrow);
  });
  const int narrow = HeldConstant(packed, RowMajor({count}, v.dtype));
  const int scratch = Temporary(desc);
  EmitKernel(WidenKernel(v.dtype, count), {narrow}, {scratch}, "widen");
  return scratch;
}

// A narrow or quantized constant as f32 in `desc`, widened at load.
int Builder::FloatConstant(ValueId id, const Desc& desc) {
  const ir::Value& v = value(id);
  const Desc row_major = RowMajor(v.shape, DataType::kF32);
  const auto packed = store_.GetOrMake(KeyOf(v, row_major, desc), [&] {
    const std::vector<float> values = v.quant ? ir::RealValues(*v.constant, *v.quant) : ToFloat(v.constant->view());
    auto block = store_.Allocate(desc.get_size());
    ReorderNow(engine(), row_major, values.data(), desc, block.get());
    return std::shared_ptr<const void>(block);
  });
  return HeldConstant(packed, desc);
}

int Builder::SmallConstant(DataType type, const std::vector<float>& values) {
  const auto [it, inserted] = small_constants_.try_emplace({static_cast<int>(type), values}, -1);
  if (!inserted) return it->second;
  auto tensor = std::make_shared<Tensor>(type, Shape{static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) {
    if (type == DataType::kS32) {
      tensor->As<int32_t>()[i] = static_cast<int32_t>(values[i]);
    } else {
      tensor->As<float>()[i] = values[i];
    }
  }
  plan_.constants.push_back(tensor);
  const int buffer = NewBuffer(Storage::kConstant, 0);
  buffers_[static_cast<size_t>(buffer)].constant = tensor->data();
  it->second = NewMemory(buffer, type, tensor->shape(), RowMajor(tensor->shape(), type));
  return it->second;
}

int Builder::ConstantF32(const std::vector<float>& values) { return SmallConstant(DataType::kF32, values); }
int Builder::ConstantS32(int32_t v) { return SmallConstant(DataType::kS32, {static_cast<float>(v)}); }

std::vector<float> Builder::ConstantValues(ValueId id) const { return ToFloat(value(id).constant->view()); }

// --- The dispatch over operators ---

bool Builder::HasEmptyOperand(ir::NodeId id) const {
  const ir::Node& n = graph_.node(id);
  const auto is_empty = [this](ValueId v) { return v != kNoValue && NumElements(value(v).shape) == 0; };
  return std::any_of(n.inputs.begin(), n.inputs.end(), is_empty) ||
         std::any_of(n.outputs.begin(), n.outputs.end(), is_empty);
}

absl::Status Builder::LowerNode(ir::NodeId id) {
  const ir::Node& n = graph_.node(id);
  current_ = id;
  std::string op(ir::OpName(n.op));
  for (const ir::PostOp& p : n.post_ops) {
    absl::StrAppend(&op, "+", p.kind == ir::PostOp::Kind::kUnary ? ir::OpName(p.unary.kind) : ir::OpName(p.binary));
  }
  layer_ = BeginLayer(n.name, op, PrecisionOf(id), n.precision_note);
  const size_t first_step = plan_.steps.size();
  const bool empty = HasEmptyOperand(id);  // nothing to compute, and primitives dislike it
  const bool emulated = n.accumulation && !empty;
  absl::Status status = empty      ? absl::UnimplementedError("")
                        : emulated ? LowerEmulated(*this, id)
                                   : std::visit(Lower{*this, id}, n.op);
  if (absl::IsUnimplemented(status) && !emulated) {
    plan_.layers[static_cast<size_t>(layer_)].slow_reference = IsHeavy(n.op) && !empty;
    if (n.post_ops.empty()) status = LowerPlain(id);
    if (absl::IsUnimplemented(status)) status = LowerInFloat(id);
  }
  if (status.ok()) RoundIfEmulated(id, first_step);
  return status;
}

void Builder::DropEmptyLayers() {
  std::vector<int> renumbered(plan_.layers.size(), -1);
  for (const Step& s : plan_.steps) renumbered[static_cast<size_t>(s.layer)] = 0;
  std::vector<LayerInfo> kept;
  for (size_t i = 0; i < plan_.layers.size(); ++i) {
    if (renumbered[i] < 0) continue;
    renumbered[i] = static_cast<int>(kept.size());
    kept.push_back(std::move(plan_.layers[i]));
  }
  plan_.layers = std::move(kept);
  for (Step& s : plan_.steps) s.layer = renumbered[static_cast<size_t>(s.layer)];
}

absl::StatusOr<std::shared_ptr<const Plan>> BuildPlan(const ir::Graph& graph, const PlanOptions& options,
                                                      WeightStore& store) {
  auto plan = std::make_shared<Plan>();
  try {
    plan->engine = dnnl::engine(dnnl::engine::kind::cpu, 0);
    plan->threads = options.threads;
    const ThreadCountScope threads(options.threads);
    Builder builder(graph, options, store, *plan);
    PRECIS_RETURN_IF_ERROR(builder.Run());
  } catch (const dnnl::error& e) {
    const absl::StatusCode code =
        e.status == dnnl_out_of_memory ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInternal;
    return absl::Status(code, absl::StrCat("oneDNN, at layer \"", plan->layers.empty() ? "" : plan->layers.back().name,
                                           "\": ", e.what()));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory for the plan");
  }
  return std::shared_ptr<const Plan>(std::move(plan));
}

}  // namespace precis::plan
