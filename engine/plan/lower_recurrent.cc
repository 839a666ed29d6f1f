// LSTM, GRU and RNN on oneDNN's primitives, in f32. https://uxlfoundation.github.io/oneDNN/dev_guide_rnn.html
// A layer is one primitive over all steps and both directions; its weights are packed at load. y [S,D,B,H] is a view of oneDNN's result
// [S,B,D*H], so that the transpose and reshape which exporters put behind it cost nothing.
#include <algorithm>

#include "absl/strings/match.h"
#include "engine/plan/post_ops.h"

namespace precis::plan {
namespace {

using dnnl::memory;
using ir::CellKind;
using ir::kNoValue;
using ir::UnaryKind;

dnnl::algorithm ActivationOf(const ir::Unary& function) {
  switch (function.kind) {
    case UnaryKind::kRelu: return dnnl::algorithm::eltwise_relu;
    case UnaryKind::kTanh: return dnnl::algorithm::eltwise_tanh;
    case UnaryKind::kSigmoid: return dnnl::algorithm::eltwise_logistic;
    default: return dnnl::algorithm::undef;
  }
}

// Whether the cell is oneDNN's: it has one form of LSTM and GRU, and one activation for both directions of an RNN.
bool IsStandardCell(const ir::Recurrent& op) {
  if (op.clip != 0.0f || op.input_forget) return false;
  const auto all_are = [&](size_t first, size_t stride, UnaryKind kind) {
    for (size_t i = first; i < op.activations.size(); i += stride) {
      if (op.activations[i].kind != kind) return false;
    }
    return true;
  };
  switch (op.cell) {
    case CellKind::kLstm:
      return all_are(0, 3, UnaryKind::kSigmoid) && all_are(1, 3, UnaryKind::kTanh) && all_are(2, 3, UnaryKind::kTanh);
    case CellKind::kGru: return all_are(0, 2, UnaryKind::kSigmoid) && all_are(1, 2, UnaryKind::kTanh);
    case CellKind::kRnn:
      return all_are(0, 1, op.activations[0].kind) && ActivationOf(op.activations[0]) != dnnl::algorithm::undef;
  }
  return false;
}

dnnl::rnn_direction DirectionOf(ir::Direction direction) {
  switch (direction) {
    case ir::Direction::kForward: return dnnl::rnn_direction::unidirectional_left2right;
    case ir::Direction::kReverse: return dnnl::rnn_direction::unidirectional_right2left;
    case ir::Direction::kBidirectional: break;
  }
  return dnnl::rnn_direction::bidirectional_concat;
}

class RecurrentLowering {
 public:
  RecurrentLowering(Builder& b, ir::NodeId id, const ir::Recurrent& op) : b_(b), id_(id), op_(op) {
    const Shape& x = b_.value(In(0)).shape;
    steps_ = x[0], batch_ = x[1], input_ = x[2], hidden_ = op.hidden_size;
    directions_ = b_.value(In(2)).shape[0];
    gates_ = b_.value(In(2)).shape[1] / hidden_;
  }

  absl::Status Run() {
    if (!Fits()) return absl::UnimplementedError("");
    Describe();
    switch (op_.cell) {
      case CellKind::kLstm: return EmitLstm();
      case CellKind::kGru:
        return op_.linear_before_reset ? EmitGru<dnnl::lbr_gru_forward>() : EmitGru<dnnl::gru_forward>();
      case CellKind::kRnn: return EmitRnn();
    }
    return absl::UnimplementedError("");
  }

 private:
  ir::ValueId In(size_t i) const { return b_.graph().Input(id_, i); }
  ir::ValueId Out(size_t i) const {
    const auto& outputs = b_.graph().node(id_).outputs;
    return i < outputs.size() ? outputs[i] : kNoValue;
  }

  // Every sequence is read to its end.
  bool ReadsAllSteps() const {
    if (In(4) == kNoValue) return true;
    const Tensor* lengths = b_.graph().ConstantOrNull(In(4));
    if (lengths == nullptr) return false;
    const std::vector<int64_t> values = ToInt64(lengths->view());
    return std::all_of(values.begin(), values.end(), [&](int64_t n) { return n >= steps_; });
  }

  bool Fits() const {
    for (size_t i : {0, 1, 2, 3, 5, 6}) {
      if (In(i) != kNoValue && b_.Stored(In(i)) != DataType::kF32) return false;
    }
    for (size_t i : {0, 1, 2}) {
      if (Out(i) != kNoValue && b_.Stored(Out(i)) != DataType::kF32) return false;
    }
    const bool constant = b_.graph().IsConstant(In(1)) && b_.graph().IsConstant(In(2)) &&
                          b_.value(In(1)).dtype == DataType::kF32 && b_.value(In(2)).dtype == DataType::kF32;
    return constant && ReadsAllSteps() && In(7) == kNoValue && IsStandardCell(op_) &&
           b_.graph().node(id_).post_ops.empty();
  }

  static Desc Plain(const Shape& shape) { return RowMajor(shape, DataType::kF32); }
  Desc State() const { return Plain({1, directions_, batch_, hidden_}); }

  void Describe() {
    x_ = Plain({steps_, batch_, input_});
    y_ = Plain({steps_, batch_, directions_ * hidden_});
    weights_ = AnyLayout({1, directions_, input_, gates_, hidden_}, DataType::kF32);
    recurrence_ = AnyLayout({1, directions_, hidden_, gates_, hidden_}, DataType::kF32);
    bias_ = Plain({1, directions_, op_.linear_before_reset ? gates_ + 1 : gates_, hidden_});
    if (In(5) != kNoValue || In(6) != kNoValue) initial_ = State();
    if (Out(1) != kNoValue || Out(2) != kNoValue) last_ = State();
  }

  absl::Status EmitLstm() {
    const dnnl::lstm_forward::primitive_desc pd(b_.engine(), dnnl::prop_kind::forward_inference,
                                                DirectionOf(op_.direction), x_, initial_, initial_, weights_,
                                                recurrence_, bias_, y_, last_, last_, Attributes().Finish());
    std::vector<Argument> arguments = Arguments(pd);
    if (!IsEmpty(initial_)) arguments.push_back({DNNL_ARG_SRC_ITER_C, Initial(6)});
    if (!IsEmpty(last_)) arguments.push_back({DNNL_ARG_DST_ITER_C, Last(2)});
    Emit<dnnl::lstm_forward>(pd, std::move(arguments));
    return absl::OkStatus();
  }

  template <typename Gru>
  absl::Status EmitGru() {
    const typename Gru::primitive_desc pd(b_.engine(), dnnl::prop_kind::forward_inference, DirectionOf(op_.direction),
                                          x_, initial_, weights_, recurrence_, bias_, y_, last_, Attributes().Finish());
    Emit<Gru>(pd, Arguments(pd));
    return absl::OkStatus();
  }

  absl::Status EmitRnn() {
    const dnnl::vanilla_rnn_forward::primitive_desc pd(
        b_.engine(), dnnl::prop_kind::forward_inference, ActivationOf(op_.activations[0]), DirectionOf(op_.direction),
        x_, initial_, weights_, recurrence_, bias_, y_, last_, Attributes().Finish());
    Emit<dnnl::vanilla_rnn_forward>(pd, Arguments(pd));
    return absl::OkStatus();
  }

  // "ref+matmul" and "ref+gemm" are a driver around fast products, which oneDNN has in place of brgemm for some cells; "ref:any" would be slow.
  template <typename Primitive, typename PrimitiveDesc>
  void Emit(const PrimitiveDesc& pd, std::vector<Argument> arguments) {
    const bool fast = absl::StrContains(pd.impl_info_str(), "ref+");
    b_.EmitPrimitive(Primitive(pd), pd, std::move(arguments), /*heavy=*/!fast);
  }

  template <typename PrimitiveDesc>
  std::vector<Argument> Arguments(const PrimitiveDesc& pd) {
    const auto packed = [&](size_t input, int64_t columns, const Desc& desc) {  // [D, G*H, columns]: ldgoi
      return b_.UseWeights(
          In(input),
          Desc({1, directions_, columns, gates_, hidden_}, memory::data_type::f32, memory::format_tag::ldgoi), desc);
    };
    std::vector<Argument> arguments = {{DNNL_ARG_SRC_LAYER, Source()},
                                       {DNNL_ARG_WEIGHTS_LAYER, packed(1, input_, pd.weights_layer_desc())},
                                       {DNNL_ARG_WEIGHTS_ITER, packed(2, hidden_, pd.weights_iter_desc())},
                                       {DNNL_ARG_BIAS, Bias()},
                                       {DNNL_ARG_DST_LAYER, Result()}};
    if (!IsEmpty(initial_)) arguments.push_back({DNNL_ARG_SRC_ITER, Initial(5)});
    if (!IsEmpty(last_)) arguments.push_back({DNNL_ARG_DST_ITER, Last(1)});
    return arguments;
  }

  // A batch of one, or a single step, lies the same way whichever of the two comes first: a transpose in front needs no copy.
  int Source() {
    const Shape& shape = b_.value(In(0)).shape;
    const Desc layout = b_.LayoutOf(In(0));
    const bool dense = (steps_ == 1 || batch_ == 1) && DenseOrder(layout) && layout.get_strides()[2] == 1;
    return b_.AddMemoryOver(dense ? b_.Use(In(0)) : b_.Use(In(0), RowMajor(shape, DataType::kF32)), x_);
  }
  int Bias() {
    const int64_t count = NumElements(Shape(bias_.get_dims()));
    if (In(3) == kNoValue) return b_.AddMemoryOver(Zeros(count), bias_);
    return b_.AddMemoryOver(b_.UseRowMajor(In(3)), bias_);
  }
  int Zeros(int64_t count) { return b_.ConstantF32(std::vector<float>(static_cast<size_t>(count), 0.0f)); }
  int Initial(size_t input) {
    if (In(input) == kNoValue) return b_.AddMemoryOver(Zeros(directions_ * batch_ * hidden_), initial_);
    return b_.AddMemoryOver(b_.UseRowMajor(In(input)), initial_);
  }
  int Last(size_t output) {
    if (Out(output) == kNoValue) return b_.Temporary(last_);
    return b_.AddMemoryOver(b_.Define(Out(output), RowMajor(b_.value(Out(output)).shape, DataType::kF32)), last_);
  }
  int Result() {
    if (Out(0) == kNoValue) return b_.Temporary(y_);
    const Shape& shape = b_.value(Out(0)).shape;
    const Desc seen = directions_ == 1
                          ? RowMajor(shape, DataType::kF32)
                          : Desc(shape, memory::data_type::f32,
                                 memory::dims{batch_ * directions_ * hidden_, hidden_, directions_ * hidden_, 1});
    return b_.AddMemoryOver(b_.Define(Out(0), seen), y_);
  }

  Builder& b_;
  const ir::NodeId id_;
  const ir::Recurrent& op_;
  int64_t steps_, batch_, input_, hidden_, directions_, gates_;
  Desc x_, y_, weights_, recurrence_, bias_, initial_,
      last_;  // initial_ and last_ empty where nobody gives or reads them
};

}  // namespace

absl::Status LowerRecurrent(Builder& b, ir::NodeId id, const ir::Recurrent& op) {
  return RecurrentLowering(b, id, op).Run();
}

}  // namespace precis::plan
