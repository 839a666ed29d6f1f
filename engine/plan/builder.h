#ifndef PRECIS_ENGINE_PLAN_BUILDER_H_
#define PRECIS_ENGINE_PLAN_BUILDER_H_

// The state of one lowering: which memory holds which value, which buffers are still needed, and the steps emitted so far. The lower_*.cc
// files translate one family of operators each and speak to the plan only through this class.
//
// Values and buffers: a value is bound to a primary memory (a layout over a buffer); reshapes and transposes bind a new layout over the
// same buffer, so they cost nothing until a consumer needs other strides. Use(value, desc) hands out the value in that layout, emitting a reorder
// when none exists yet. A Convert between precisions is lazy: it becomes one reorder straight into the layout its first consumer asks for.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/plan/plan.h"

namespace precis::plan {

using Desc = dnnl::memory::desc;

// oneDNN's data type for a stored dtype; undef for those it does not know.
dnnl::memory::data_type DnnlType(DataType type);
// The dtype of a descriptor's elements.
DataType TypeOf(const Desc& desc);

// Shape as oneDNN takes it: a scalar becomes {1}.
dnnl::memory::dims Dims(const Shape& shape);

// Row-major descriptor.
Desc RowMajor(const Shape& shape, DataType type);
// Channels-last descriptor of [N,C,spatial…]; row-major below rank 3.
Desc ChannelsLast(const Shape& shape, DataType type);
// Layout left to the primitive.
Desc AnyLayout(const Shape& shape, DataType type);
// The logical dimensions in memory order, slowest first, when `desc` is dense, unblocked and gap-free; nullopt otherwise.
std::optional<std::vector<int>> DenseOrder(const Desc& desc);

class Builder {
 public:
  Builder(const ir::Graph& graph, const PlanOptions& options, WeightStore& store, Plan& plan);

  // Lowers everything; see BuildPlan.
  absl::Status Run();

  const ir::Graph& graph() const { return graph_; }
  const ir::Value& value(ir::ValueId id) const { return graph_.value(id); }
  const dnnl::engine& engine() const { return plan_.engine; }
  const PlanOptions& options() const { return options_; }

  // How a value's dtype is stored: f16 as f32 (and bf16 too where the CPU has no AVX-512), else itself.
  DataType Stored(ir::ValueId id) const;
  bool IsStoredAsFloat(ir::ValueId id) const;  // of a type that oneDNN computes with

  // Layout of the value's primary memory.
  Desc LayoutOf(ir::ValueId id);
  // Memory that holds the value: in its primary layout, or in `desc`.
  int Use(ir::ValueId id);
  int Use(ir::ValueId id, const Desc& desc);
  int UseRowMajor(ir::ValueId id);
  // A constant as packed weights in `desc`; `source` says how to read its bytes (regrouped or transposed dims, the constant's dtype).
  // Where `desc` is f32 and the constant a 16-bit float, it is held as 16 bits in that layout and widened into scratch before each use.
  int UseWeights(ir::ValueId id, const Desc& source, const Desc& desc);
  // The same of weights that are a matrix of `rows` rows once they lie densely in the order of `source`'s dims.
  int UseWeightMatrix(ir::ValueId id, const Desc& source, int64_t rows, const Desc& desc);
  // A constant in a layout of the caller's own, which `layout` names: `size_bytes` that `pack` fills in once.
  int UsePacked(ir::ValueId id, const std::string& layout, int64_t size_bytes, const std::function<void(void*)>& pack);
  // Small constant made by the plan: scales, zero points, folded biases.
  int ConstantF32(const std::vector<float>& values);
  int ConstantS32(int32_t value);
  // A f32 view of a constant operand: scalar, bias, per-channel vector…
  std::vector<float> ConstantValues(ir::ValueId id) const;

  // True when none of the buffers that hold the value are read after the node being lowered: its result may be written over one of them.
  bool DiesHere(ir::ValueId id);

  // The value as f32 in `desc` (f32): dequantized or widened where it is held otherwise.
  int UseFloat(ir::ValueId id, const Desc& desc);
  // True when some buffer holds both values.
  bool SharesBuffer(ir::ValueId a, ir::ValueId b) const;

  // Result memories: a fresh buffer (or straight the caller's output tensor when layouts agree), or those of `memory`, which dies here.
  int Define(ir::ValueId id, const Desc& desc);
  void DefineOver(ir::ValueId id, int memory);
  // Binds the value to a layout over another value's buffer.
  void DefineView(ir::ValueId id, ir::ValueId source, const Desc& desc);
  void DefineView(ir::ValueId id,
                  ir::ValueId source);  // same bytes, row-major of the new shape (or a dtype oneDNN does not know)
  // Binds lazily: `id` is `source` in another precision.
  void DefineConverted(ir::ValueId id, ir::ValueId source);
  // Scratch of one step, or a temporary between steps of one node.
  int Temporary(const Desc& desc);
  int TemporaryBytes(int64_t size_bytes);

  // Layout in which a consumer would like the value, where that is known to pay: the strides that make a following Transpose free.
  // nullopt: no preference.
  std::optional<Desc> WantedLayout(ir::ValueId id) const;

  // Steps. Implementation strings go to the current layer.
  void EmitPrimitive(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& pd,
                     std::vector<Argument> arguments, bool heavy);
  void EmitKernel(kernels::Kernel kernel, std::vector<int> inputs, std::vector<int> outputs,
                  const std::string& implementation = "plain");
  // src -> dst of any two layouts and float types, with affine parameters where given.
  void EmitReorder(int src, const ir::QuantParams* src_quant, int dst, const ir::QuantParams* dst_quant);
  // Lowers the node's operator with its plain kernel over row-major operands.
  absl::Status LowerPlain(ir::NodeId id);
  // The same between conversions from and to f32, its post-ops behind it.
  absl::Status LowerInFloat(ir::NodeId id);

  const Memory& memory(int id) const { return plan_.memories[static_cast<size_t>(id)]; }
  // Another layout over the same bytes, from `offset_bytes` of them on. Slices are made so, not by offsets within descriptors
  // (submemory_desc): brg_matmul of oneDNN 3.7.2 reads over those.
  int AddMemoryOver(int base, const Desc& desc, int64_t offset_bytes = 0);

 private:
  struct Buffer {
    Storage storage = Storage::kArena;
    int64_t size_bytes = 0;
    int port = 0;
    const void* constant = nullptr;
    int first_step = -1, last_step = -1;
    std::vector<ir::ValueId> values;  // bound to it
  };
  struct Binding {
    int primary = -1;                           // memory id; -1: not materialised
    ir::ValueId converted_from = ir::kNoValue;  // lazy Convert
    std::vector<int> alternates;                // the same value in other layouts
  };

  absl::Status LowerNode(ir::NodeId id);
  bool HasEmptyOperand(ir::NodeId id) const;
  void BindInputs();
  void BindOutputs();
  int NewBuffer(Storage storage, int64_t size_bytes);
  int NewMemory(int buffer, DataType dtype, Shape shape, const Desc& desc);  // dtype counts where there is no desc
  int BufferOf(int memory) const { return buffer_of_[static_cast<size_t>(memory)]; }
  void Bind(ir::ValueId id, int memory);
  void Touch(int memory);
  void Materialize(ir::ValueId id, const Desc* wanted);
  void RoundIfEmulated(ir::NodeId id, size_t first_step);
  int BeginLayer(const std::string& name, const std::string& op, const std::string& precision, const std::string& note);
  void NodeDone(ir::NodeId id);
  void DropEmptyLayers();
  std::string PrecisionOf(ir::NodeId id) const;
  int ConstantMemory(ir::ValueId id);
  int HeldConstant(std::shared_ptr<const void> bytes, const Desc& desc);
  int PackedConstant(ir::ValueId id, const void* bytes, const Desc& source, const Desc& desc);
  int FloatConstant(ir::ValueId id, const Desc& desc);
  std::vector<int> BuffersOf(ir::ValueId id) const;
  int SmallConstant(DataType type, const std::vector<float>& values);
  void AccountBytes(const Step& step);
  void Observe(ir::ValueId id);
  void PlaceBuffers();

  const ir::Graph& graph_;
  const PlanOptions& options_;
  WeightStore& store_;
  Plan& plan_;
  std::vector<Binding> bindings_;  // per value
  std::vector<Buffer> buffers_;
  std::vector<int> buffer_of_;                                         // per memory
  std::vector<int> remaining_uses_;                                    // per value: node inputs not lowered yet
  std::vector<bool> observed_;                                         // per value
  std::map<std::pair<int, std::vector<float>>, int> small_constants_;  // keyed by dtype and values
  ir::NodeId current_ = ir::kNoNode;
  int layer_ = 0;
  bool native_bf16_ = true;
};

// One function per operator family; each returns Unimplemented when the node's dtypes are not covered, and the caller falls back to the plain kernel.
absl::Status LowerEmulated(Builder& b, ir::NodeId id);  // a node with an `accumulation`
absl::Status LowerConv(Builder& b, ir::NodeId id, const ir::Conv& op);
absl::Status LowerConvTranspose(Builder& b, ir::NodeId id, const ir::ConvTranspose& op);
absl::Status LowerMatMul(Builder& b, ir::NodeId id, const ir::MatMul& op);
absl::Status LowerPool(Builder& b, ir::NodeId id, const ir::Pool& op);
absl::Status LowerGlobalPool(Builder& b, ir::NodeId id, const ir::GlobalPool& op);
absl::Status LowerResize(Builder& b, ir::NodeId id, const ir::Resize& op);
absl::Status LowerInstanceNorm(Builder& b, ir::NodeId id, const ir::InstanceNorm& op);
absl::Status LowerGroupNorm(Builder& b, ir::NodeId id, const ir::GroupNorm& op);
absl::Status LowerLayerNorm(Builder& b, ir::NodeId id, const ir::LayerNorm& op);
absl::Status LowerRecurrent(Builder& b, ir::NodeId id, const ir::Recurrent& op);
absl::Status LowerSoftmax(Builder& b, ir::NodeId id, const ir::Softmax& op);
absl::Status LowerUnary(Builder& b, ir::NodeId id, const ir::Unary& op);
absl::Status LowerBinary(Builder& b, ir::NodeId id, const ir::Binary& op);
absl::Status LowerConcat(Builder& b, ir::NodeId id, const ir::Concat& op);
absl::Status LowerSplit(Builder& b, ir::NodeId id, const ir::Split& op);
absl::Status LowerSlice(Builder& b, ir::NodeId id);
absl::Status LowerTranspose(Builder& b, ir::NodeId id, const ir::Transpose& op);
absl::Status LowerReshape(Builder& b, ir::NodeId id);
absl::Status LowerConvert(Builder& b, ir::NodeId id);

}  // namespace precis::plan

#endif  // PRECIS_ENGINE_PLAN_BUILDER_H_
