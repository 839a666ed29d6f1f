#ifndef PRECIS_TESTS_SERVER_FAKE_VARIANT_H_
#define PRECIS_TESTS_SERVER_FAKE_VARIANT_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "engine/model.h"

namespace precis::server {

// A variant of one f32 input [?], its batch, that answers its input and whose runs do what the test says.
class FakeVariant : public Variant {
 public:
  using RunFunction = std::function<absl::Status(const std::vector<TensorView>& inputs)>;
  // With kScalarOutput the output has no batch dimension.
  enum Output { kInputAsOutput, kScalarOutput };
  explicit FakeVariant(RunFunction run, Output output = kInputAsOutput) : run_(std::move(run)), output_(output) {
    info_.input_shapes = {{1}};
  }

  const VariantInfo& info() const override { return info_; }
  const std::vector<TensorSpec>& inputs() const override { return specs_; }
  const std::vector<TensorSpec>& outputs() const override { return specs_; }
  absl::StatusOr<std::unique_ptr<Session>> NewSession() const override {
    return std::make_unique<FakeSession>(run_, output_);
  }
  absl::StatusOr<std::unique_ptr<Session>> NewBackgroundSession() const override { return NewSession(); }
  absl::StatusOr<std::unique_ptr<InputProbe>> NewInputProbe() const override { return std::unique_ptr<InputProbe>(); }
  absl::StatusOr<std::vector<Layer>> DescribePlan(const std::vector<Shape>&) const override {
    Layer layer;
    layer.weight_bytes = 100;
    layer.activation_bytes = 10;
    return std::vector<Layer>{layer};
  }
  void DropPlan(const std::vector<Shape>& input_shapes) const override { dropped.push_back(input_shapes); }

  mutable std::vector<std::vector<Shape>> dropped;

 private:
  struct FakeSession : Session {
    FakeSession(RunFunction r, Output o) : run(std::move(r)), output(o) {}
    absl::Status Run(const std::vector<TensorView>& inputs, std::vector<Tensor>* outputs) override {
      outputs->clear();
      outputs->push_back(output == kInputAsOutput ? Tensor::CopyOf(inputs[0]) : Tensor::From<float>({}, {1}));
      return run(inputs);
    }
    absl::Status RunPaced(const std::vector<TensorView>& inputs, std::vector<Tensor>* outputs,
                          absl::FunctionRef<bool()> between_layers) override {
      for (int layer = 0; layer < 3; ++layer) {
        if (!between_layers()) return absl::CancelledError();
      }
      return Run(inputs, outputs);
    }
    absl::StatusOr<std::vector<Layer>> Profile(const std::vector<TensorView>&, int, int) override {
      return std::vector<Layer>();
    }
    absl::StatusOr<double> FloorMilliseconds(const std::vector<TensorView>&) override { return 0.0; }
    RunFunction run;
    Output output;
  };

  const RunFunction run_;
  const Output output_;
  VariantInfo info_;
  const std::vector<TensorSpec> specs_ = {{"x", DataType::kF32, {kUnknownDim}, {""}}};
};

}  // namespace precis::server

#endif  // PRECIS_TESTS_SERVER_FAKE_VARIANT_H_
