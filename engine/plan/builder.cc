// The bookkeeping of a lowering: bindings of values to memories, lazy conversions, lifetimes.
#include "engine/plan/builder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/float16.h"
#include "engine/base/status_macros.h"
#include "engine/plan/cpu_features.h"
#include "engine/plan/narrow_float.h"

namespace precis::plan {
namespace {

using ir::kNoValue;
using ir::ValueId;

int64_t BytesOf(const Memory& m) {
  return !IsEmpty(m.desc) ? static_cast<int64_t>(m.desc.get_size())
                          : NumElements(m.shape) * static_cast<int64_t>(SizeOf(m.dtype));
}

}  // namespace

Builder::Builder(const ir::Graph& graph, const PlanOptions& options, WeightStore& store, Plan& plan)
    : graph_(graph), options_(options), store_(store), plan_(plan), native_bf16_(CpuHasAvx512()) {
  const auto n = static_cast<size_t>(graph.num_values());
  bindings_.resize(n);
  remaining_uses_.resize(n);
  observed_.resize(n);
  for (ValueId v = 0; v < graph.num_values(); ++v)
    remaining_uses_[static_cast<size_t>(v)] = static_cast<int>(graph.consumers(v).size());
  for (ValueId v : options.observed) observed_[static_cast<size_t>(v)] = true;
}

DataType Builder::Stored(ValueId id) const {
  const DataType type = value(id).dtype;
  if (type == DataType::kF16 || (type == DataType::kBF16 && !native_bf16_)) return DataType::kF32;
  return type;
}

bool Builder::IsStoredAsFloat(ValueId id) const {
  return DnnlType(Stored(id)) != dnnl::memory::data_type::undef && IsFloat(Stored(id));
}

// --- Buffers and memories ---

int Builder::NewBuffer(Storage storage, int64_t size_bytes) {
  Buffer buffer;
  buffer.storage = storage;
  buffer.size_bytes = size_bytes;
  buffers_.push_back(std::move(buffer));
  return static_cast<int>(buffers_.size()) - 1;
}

int Builder::NewMemory(int buffer, DataType dtype, Shape shape, const Desc& desc) {
  Memory m;
  m.dtype = !IsEmpty(desc) ? TypeOf(desc) : dtype;
  m.shape = std::move(shape);
  m.desc = desc;
  plan_.memories.push_back(std::move(m));
  buffer_of_.push_back(buffer);
  return static_cast<int>(plan_.memories.size()) - 1;
}

int Builder::AddMemoryOver(int base, const Desc& desc, int64_t offset_bytes) {
  const int made = NewMemory(BufferOf(base), memory(base).dtype, Shape(desc.get_dims()), desc);
  plan_.memories[static_cast<size_t>(made)].view_offset = memory(base).view_offset + offset_bytes;
  return made;
}

void Builder::Bind(ValueId id, int memory_id) {
  bindings_[static_cast<size_t>(id)].primary = memory_id;
  buffers_[static_cast<size_t>(BufferOf(memory_id))].values.push_back(id);
}

void Builder::Touch(int memory_id) {
  Buffer& buffer = buffers_[static_cast<size_t>(BufferOf(memory_id))];
  const int step = static_cast<int>(plan_.steps.size());
  if (buffer.first_step < 0) buffer.first_step = step;
  buffer.last_step = step;
}

std::vector<int> Builder::BuffersOf(ValueId id) const {
  const Binding& binding = bindings_[static_cast<size_t>(id)];
  if (binding.primary < 0)  // not read yet: a lazy conversion is where its source is
    return binding.converted_from == kNoValue ? std::vector<int>() : BuffersOf(binding.converted_from);
  std::vector<int> buffers = {BufferOf(binding.primary)};
  for (int m : binding.alternates) buffers.push_back(BufferOf(m));
  return buffers;
}

bool Builder::DiesHere(ValueId id) {
  Materialize(id, nullptr);
  const auto& inputs = graph_.node(current_).inputs;
  const auto dies = [&](ValueId v) {
    return remaining_uses_[static_cast<size_t>(v)] == std::count(inputs.begin(), inputs.end(), v) &&
           !graph_.IsGraphOutput(v);
  };
  const std::vector<int> held_in = BuffersOf(id);
  return std::all_of(held_in.begin(), held_in.end(), [&](int b) {
    const Buffer& buffer = buffers_[static_cast<size_t>(b)];
    return buffer.storage == Storage::kArena && std::all_of(buffer.values.begin(), buffer.values.end(), dies);
  });
}

bool Builder::SharesBuffer(ValueId a, ValueId b) const {
  const std::vector<int> first = BuffersOf(a), second = BuffersOf(b);
  return std::find_first_of(first.begin(), first.end(), second.begin(), second.end()) != first.end();
}

int Builder::Define(ValueId id, const Desc& desc) {
  const DataType stored = Stored(id);
  const Shape& shape = value(id).shape;
  const bool row_major = IsEmpty(desc) || desc == RowMajor(shape, stored);
  const auto ports =
      std::count_if(graph_.outputs.begin(), graph_.outputs.end(), [id](const ir::Port& p) { return p.value == id; });
  int buffer;
  if (ports == 1 && row_major && stored == value(id).dtype) {
    buffer = NewBuffer(Storage::kOutput, 0);
    const auto it =
        std::find_if(graph_.outputs.begin(), graph_.outputs.end(), [id](const ir::Port& p) { return p.value == id; });
    buffers_[static_cast<size_t>(buffer)].port = static_cast<int>(it - graph_.outputs.begin());
  } else {
    buffer = NewBuffer(Storage::kArena, 0);
  }
  const int m = NewMemory(buffer, stored, shape, desc);
  buffers_[static_cast<size_t>(buffer)].size_bytes = BytesOf(memory(m));
  Bind(id, m);
  return m;
}

void Builder::DefineOver(ValueId id, int memory_id) { Bind(id, memory_id); }

void Builder::DefineView(ValueId id, ValueId source, const Desc& desc) {
  const int base = Use(source);
  Bind(id, NewMemory(BufferOf(base), memory(base).dtype, value(id).shape, desc));
}

void Builder::DefineView(ValueId id, ValueId source) {
  const int base = UseRowMajor(source);
  Bind(id,
       NewMemory(BufferOf(base), memory(base).dtype, value(id).shape, RowMajor(value(id).shape, memory(base).dtype)));
}

void Builder::DefineConverted(ValueId id, ValueId source) {
  const int base = Use(source);
  bindings_[static_cast<size_t>(id)].converted_from = source;
  buffers_[static_cast<size_t>(BufferOf(base))].values.push_back(
      id);  // the source's bytes stay until the conversion is done
}

int Builder::Temporary(const Desc& desc) {
  const int buffer = NewBuffer(Storage::kArena, static_cast<int64_t>(desc.get_size()));
  return NewMemory(buffer, DataType::kF32, Shape(desc.get_dims()), desc);
}

int Builder::TemporaryBytes(int64_t size_bytes) {
  return Temporary(Desc({size_bytes}, dnnl::memory::data_type::u8, dnnl::memory::dims{1}));
}

// --- Reading values ---

void Builder::Materialize(ValueId id, const Desc* wanted) {
  Binding& binding = bindings_[static_cast<size_t>(id)];
  if (binding.primary >= 0) return;
  if (graph_.IsConstant(id)) {
    binding.primary = ConstantMemory(id);
    buffers_[static_cast<size_t>(BufferOf(binding.primary))].values.push_back(id);
    return;
  }
  const ValueId source = binding.converted_from;
  const int from = Use(source);
  const DataType stored = Stored(id);
  auto& source_values = buffers_[static_cast<size_t>(BufferOf(from))].values;
  const auto same_numbers = [&] {  // widening needs no work when both are held as f32
    return stored == Stored(source) && !value(id).quant && !value(source).quant &&
           (value(id).dtype == value(source).dtype || value(id).dtype == DataType::kF32);
  };
  if (same_numbers()) {
    binding.primary = from;  // stays listed among the buffer's values
    return;
  }
  Desc desc;
  if (wanted != nullptr) {
    desc = *wanted;
  } else if (const Desc& layout = memory(from).desc; layout.get_inner_nblks() == 0) {
    desc = Desc(layout.get_dims(), DnnlType(stored), layout.get_strides());
    if (!DenseOrder(desc)) desc = RowMajor(value(id).shape, stored);
  } else {
    desc = ChannelsLast(value(id).shape, stored);
  }
  source_values.erase(std::find(source_values.begin(), source_values.end(), id));
  const int to = Define(id, desc);
  const auto quant_of = [&](ValueId v) { return value(v).quant ? &*value(v).quant : nullptr; };
  EmitReorder(from, quant_of(source), to, quant_of(id));
  if (value(id).dtype != stored) EmitKernel(RoundKernel(value(id).dtype, BytesOf(memory(to)) / 4), {to}, {to}, "round");
}

Desc Builder::LayoutOf(ValueId id) { return memory(Use(id)).desc; }

int Builder::Use(ValueId id) {
  Materialize(id, nullptr);
  return bindings_[static_cast<size_t>(id)].primary;
}

int Builder::Use(ValueId id, const Desc& desc) {
  if (IsEmpty(desc)) return Use(id);
  Materialize(id, &desc);
  const int primary = bindings_[static_cast<size_t>(id)].primary;
  if (memory(primary).desc == desc) return primary;
  for (int m : bindings_[static_cast<size_t>(id)].alternates) {
    if (memory(m).desc == desc) return m;
  }
  int made;
  if (graph_.IsConstant(id)) {
    made = PackedConstant(id, buffers_[static_cast<size_t>(BufferOf(primary))].constant, memory(primary).desc, desc);
  } else {
    const int buffer = NewBuffer(Storage::kArena, static_cast<int64_t>(desc.get_size()));
    made = NewMemory(buffer, memory(primary).dtype, value(id).shape, desc);
    buffers_[static_cast<size_t>(buffer)].values.push_back(id);
    EmitReorder(primary, nullptr, made, nullptr);
  }
  bindings_[static_cast<size_t>(id)].alternates.push_back(made);
  return made;
}

int Builder::UseFloat(ValueId id, const Desc& desc) {
  if (Stored(id) == DataType::kF32) return Use(id, desc);
  if (graph_.IsConstant(id)) return FloatConstant(id, desc);
  const int from = Use(id);
  const int to = Temporary(desc);
  EmitReorder(from, value(id).quant ? &*value(id).quant : nullptr, to, nullptr);
  return to;
}

int Builder::UseRowMajor(ValueId id) { return Use(id, RowMajor(value(id).shape, Stored(id))); }

std::optional<Desc> Builder::WantedLayout(ValueId id) const {
  if (!graph_.HasSingleUse(id)) return std::nullopt;
  const auto* transpose = std::get_if<ir::Transpose>(&graph_.node(graph_.consumers(id)[0]).op);
  const Shape& shape = value(id).shape;
  if (transpose == nullptr || transpose->perm.size() != shape.size()) return std::nullopt;
  Shape strides(shape.size());
  int64_t step = 1;
  for (size_t j = shape.size(); j-- > 0;) {
    const auto in = static_cast<size_t>(transpose->perm[j]);
    strides[in] = step;
    step *= shape[in];
  }
  return Desc(shape, DnnlType(Stored(id)), strides);
}

// --- The run over the graph ---

absl::Status Builder::Run() {
  PRECIS_ASSIGN_OR_RETURN(const auto order, graph_.TopologicalOrder());
  BindInputs();
  std::vector<std::string> failures;
  for (ir::NodeId id : order) {
    if (absl::Status status = LowerNode(id); !status.ok()) {
      failures.push_back(std::string(status.message()));
      for (ValueId v : graph_.node(id).outputs) {  // keeps going, to name every node at once
        if (v != kNoValue && bindings_[static_cast<size_t>(v)].primary < 0)
          Define(v, RowMajor(value(v).shape, Stored(v)));
      }
    }
    NodeDone(id);
  }
  if (!failures.empty()) {
    std::string all = failures[0];
    for (size_t i = 1; i < failures.size(); ++i) absl::StrAppend(&all, "; ", failures[i]);
    return absl::UnimplementedError(all);
  }
  BindOutputs();
  PlaceBuffers();
  DropEmptyLayers();
  return absl::OkStatus();
}

void Builder::BindInputs() {
  layer_ = BeginLayer("inputs", "Input", "", "");
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const ValueId v = graph_.inputs[i].value;
    const int buffer = NewBuffer(Storage::kInput, 0);
    buffers_[static_cast<size_t>(buffer)].port = static_cast<int>(i);
    const int m = NewMemory(buffer, value(v).dtype, value(v).shape, RowMajor(value(v).shape, value(v).dtype));
    plan_.input_memories.push_back(m);
    if (Stored(v) == value(v).dtype) {
      Bind(v, m);
    } else {
      const int wide = Temporary(RowMajor(value(v).shape, Stored(v)));
      EmitKernel(WidenKernel(value(v).dtype, NumElements(value(v).shape)), {m}, {wide}, "widen");
      Bind(v, wide);
    }
    plan_.input_shapes.push_back(value(v).shape);
    Observe(v);
  }
}

void Builder::BindOutputs() {
  layer_ = BeginLayer("outputs", "Output", "", "");
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    const ValueId v = graph_.outputs[i].value;
    const int from = UseRowMajor(v);
    const Buffer& buffer = buffers_[static_cast<size_t>(BufferOf(from))];
    if (buffer.storage == Storage::kOutput && buffer.port == static_cast<int>(i)) {
      plan_.output_memories.push_back(from);
      continue;
    }
    const int own = NewBuffer(Storage::kOutput, 0);
    buffers_[static_cast<size_t>(own)].port = static_cast<int>(i);
    plan_.output_memories.push_back(
        NewMemory(own, value(v).dtype, value(v).shape, RowMajor(value(v).shape, value(v).dtype)));
    const int to = plan_.output_memories.back();
    if (memory(from).dtype != value(v).dtype) {
      EmitKernel(NarrowKernel(value(v).dtype, NumElements(value(v).shape)), {from}, {to}, "narrow");
      continue;
    }
    EmitKernel(
        [](std::span<const TensorView> in, std::span<const kernels::MutableTensorView> out) {
          if (const size_t n = in[0].size_bytes(); n != 0)
            std::copy_n(static_cast<const char*>(in[0].data), n, static_cast<char*>(out[0].data));
        },
        {from}, {to}, "copy");
  }
}

void Builder::NodeDone(ir::NodeId id) {
  for (ValueId v : graph_.node(id).inputs) {
    if (v != kNoValue) --remaining_uses_[static_cast<size_t>(v)];
  }
  for (ValueId v : graph_.node(id).outputs) {
    if (v != kNoValue) Observe(v);
  }
}

void Builder::Observe(ValueId id) {
  if (!observed_[static_cast<size_t>(id)]) return;
  const int m = Use(id);
  EmitKernel([](auto, auto) {}, {m}, {}, "observe");
  plan_.steps.back().observed_memory = m;
  plan_.steps.back().observed_value = id;
}

void Builder::RoundIfEmulated(ir::NodeId id, size_t first_step) {
  if (plan_.steps.size() == first_step) return;  // a view: already rounded
  for (ValueId v : graph_.node(id).outputs) {
    if (v == kNoValue || Stored(v) == value(v).dtype || bindings_[static_cast<size_t>(v)].primary < 0) continue;
    const int m = bindings_[static_cast<size_t>(v)].primary;
    EmitKernel(RoundKernel(value(v).dtype, BytesOf(memory(m)) / 4), {m}, {m}, "round");
  }
}

// Greedy by size: the largest buffer first, each at the lowest offset that no buffer alive at the same time covers.
void Builder::PlaceBuffers() {
  constexpr int64_t kAlignment = 64;
  std::vector<int> arena;
  for (size_t i = 0; i < buffers_.size(); ++i) {
    if (buffers_[i].storage == Storage::kArena && buffers_[i].first_step >= 0) arena.push_back(static_cast<int>(i));
  }
  std::stable_sort(arena.begin(), arena.end(), [this](int a, int b) {
    return buffers_[static_cast<size_t>(a)].size_bytes > buffers_[static_cast<size_t>(b)].size_bytes;
  });
  std::vector<int64_t> offsets(buffers_.size(), 0);
  std::vector<int> placed;  // ordered by offset
  for (int id : arena) {
    const Buffer& buffer = buffers_[static_cast<size_t>(id)];
    int64_t offset = 0;
    for (int other : placed) {
      const Buffer& o = buffers_[static_cast<size_t>(other)];
      if (o.last_step < buffer.first_step || buffer.last_step < o.first_step) continue;
      const int64_t begin = offsets[static_cast<size_t>(other)];
      if (begin >= offset + buffer.size_bytes) break;
      offset = std::max(offset, (begin + o.size_bytes + kAlignment - 1) / kAlignment * kAlignment);
    }
    offsets[static_cast<size_t>(id)] = offset;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](int64_t x, int p) { return x < offsets[static_cast<size_t>(p)]; }),
                  id);
    plan_.arena_bytes = std::max(plan_.arena_bytes, offset + buffer.size_bytes);
  }
  for (size_t m = 0; m < plan_.memories.size(); ++m) {
    const Buffer& buffer = buffers_[static_cast<size_t>(buffer_of_[m])];
    plan_.memories[m].storage = buffer.storage;
    plan_.memories[m].offset = offsets[static_cast<size_t>(buffer_of_[m])] + plan_.memories[m].view_offset;
    plan_.memories[m].port = buffer.port;
    plan_.memories[m].constant = buffer.constant == nullptr
                                     ? nullptr
                                     : static_cast<const char*>(buffer.constant) + plan_.memories[m].view_offset;
  }
}

}  // namespace precis::plan
