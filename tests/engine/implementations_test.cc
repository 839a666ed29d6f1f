// oneDNN answers silently with a reference implementation, hundreds of times slower, where it has no fast one. No convolution, product, pooling,
// softmax or normalisation of a network may land there, at any precision; ctest runs this again with lesser instruction sets.
#include <unistd.h>

#include <filesystem>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "engine/model.h"
#include "engine/tensor/npy.h"
#include "gtest/gtest.h"
#include "tests/engine/random_weights.h"
#include "tests/onnx/text_model.h"

namespace precis::testing {
namespace {

namespace fs = std::filesystem;

// --- Small networks with the parts of large ones ---

onnx::ModelProto ResNetLike() {
  onnx::ModelProto model = onnx_import::ParseModel(R"(g (float[batch, 3, 32, 32] x) => (float[batch, 10] y) {
      a = Conv<strides = [2, 2], pads = [3, 3, 3, 3]>(x, stem, b32)
      b = Relu(a)
      c = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(b)
      d = Conv(c, reduce, b32)
      e = Relu(d)
      f = Conv<pads = [1, 1, 1, 1]>(e, middle, b32)
      h = Relu(f)
      i = Conv(h, expand, b64)
      j = Conv(c, shortcut, b64)
      k = Add(i, j)
      l = Relu(k)
      m = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(l, down, b64)
      n = Conv<strides = [2, 2]>(l, skip, b64)
      o = Add(n, m)
      p = Relu(o)
      q = GlobalAveragePool(p)
      r = Flatten(q)
      y = Gemm<transB = 1>(r, last, b10)
    })");
  AddRandomWeights(model, {{"stem", {32, 3, 7, 7}},
                           {"b32", {32}},
                           {"b64", {64}},
                           {"reduce", {32, 32, 1, 1}},
                           {"middle", {32, 32, 3, 3}},
                           {"expand", {64, 32, 1, 1}},
                           {"shortcut", {64, 32, 1, 1}},
                           {"down", {64, 64, 3, 3}},
                           {"skip", {64, 64, 1, 1}},
                           {"last", {10, 64}},
                           {"b10", {10}}});
  return model;
}

onnx::ModelProto MobileNetLike() {
  onnx::ModelProto model = onnx_import::ParseModel(R"(g (float[batch, 3, 32, 32] x) => (float[batch, 10] y)
      <float zero = {0}, float six = {6}> {
      a = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, stem, b16)
      b = Clip(a, zero, six)
      c = Conv<group = 16, pads = [1, 1, 1, 1]>(b, depth1, b16)
      d = Clip(c, zero, six)
      e = Conv(d, project, b8)
      f = Conv(e, expand, b48)
      h = HardSwish(f)
      i = Conv<group = 48, pads = [2, 2, 2, 2]>(h, depth2, b48)
      s1 = GlobalAveragePool(i)
      s2 = Conv(s1, squeeze, b8)
      s3 = Relu(s2)
      s4 = Conv(s3, excite, b48)
      s5 = HardSigmoid(s4)
      j = Mul(i, s5)
      k = Conv(j, linear, b8)
      l = Add(e, k)
      m = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(l)
      n = Conv<group = 8, strides = [2, 2], pads = [1, 1, 1, 1]>(m, depth3, b8)
      o = Relu(n)
      p = ReduceMean<keepdims = 0>(o, axes)
      y = MatMul(p, last)
    })");
  AddRandomWeights(model, {{"stem", {16, 3, 3, 3}},
                           {"b16", {16}},
                           {"b8", {8}},
                           {"b48", {48}},
                           {"depth1", {16, 1, 3, 3}},
                           {"project", {8, 16, 1, 1}},
                           {"expand", {48, 8, 1, 1}},
                           {"depth2", {48, 1, 5, 5}},
                           {"squeeze", {8, 48, 1, 1}},
                           {"excite", {48, 8, 1, 1}},
                           {"linear", {8, 48, 1, 1}},
                           {"depth3", {8, 1, 3, 3}},
                           {"last", {8, 10}}});
  onnx::TensorProto* axes = model.mutable_graph()->add_initializer();
  axes->set_name("axes");
  axes->set_data_type(onnx::TensorProto::INT64);
  axes->add_dims(2);
  axes->add_int64_data(2);
  axes->add_int64_data(3);
  return model;
}

// One encoder layer over [batch, tokens, 64] with four heads, GELU in its erf spelling.
onnx::ModelProto BertLike() {
  onnx::ModelProto model = onnx_import::ParseModel(R"(g (float[batch, tokens, 64] x) => (float[batch, tokens, 64] y)
      <int64[4] split = {0, 0, 4, 16}, int64[3] join = {0, 0, 64}, float eight = {4}, float root2 = {1.41421354}, float one = {1}, float half = {0.5}> {
      q0 = MatMul(x, wq)    q1 = Add(q0, b64)    q2 = Reshape(q1, split)    q = Transpose<perm = [0, 2, 1, 3]>(q2)
      k0 = MatMul(x, wk)    k1 = Add(k0, b64)    k2 = Reshape(k1, split)    k = Transpose<perm = [0, 2, 3, 1]>(k2)
      v0 = MatMul(x, wv)    v1 = Add(v0, b64)    v2 = Reshape(v1, split)    v = Transpose<perm = [0, 2, 1, 3]>(v2)
      s0 = MatMul(q, k)
      s1 = Div(s0, eight)
      s2 = Softmax<axis = -1>(s1)
      c0 = MatMul(s2, v)
      c1 = Transpose<perm = [0, 2, 1, 3]>(c0)
      c2 = Reshape(c1, join)
      o0 = MatMul(c2, wo)
      o1 = Add(o0, b64)
      r1 = Add(x, o1)
      n1 = LayerNormalization<axis = -1>(r1, g64, b64)
      h0 = MatMul(n1, w1)
      h1 = Add(h0, b128)
      e0 = Div(h1, root2)
      e1 = Erf(e0)
      e2 = Add(e1, one)
      e3 = Mul(h1, e2)
      h2 = Mul(e3, half)
      h3 = MatMul(h2, w2)
      h4 = Add(h3, b64)
      r2 = Add(n1, h4)
      y = LayerNormalization<axis = -1>(r2, g64, b64)
    })");
  AddRandomWeights(model, {{"wq", {64, 64}},
                           {"wk", {64, 64}},
                           {"wv", {64, 64}},
                           {"wo", {64, 64}},
                           {"w1", {64, 128}},
                           {"w2", {128, 64}},
                           {"b64", {64}},
                           {"b128", {128}},
                           {"g64", {64}}});
  return model;
}

// --- The check ---

struct Network {
  std::string name;
  onnx::ModelProto (*make)() = nullptr;
  std::string file = "";  // of ../shared/models instead
};

void PrintTo(const Network& n, std::ostream* os) { *os << n.name; }

class ImplementationsTest : public ::testing::TestWithParam<std::tuple<Network, std::string>> {
 protected:
  ImplementationsTest() : folder_(fs::path(::testing::TempDir()) / absl::StrCat("precis_implementations_", getpid())) {
    fs::create_directories(folder_ / "calibration");
  }
  ~ImplementationsTest() override { fs::remove_all(folder_); }

  // Random samples for every input; integers are 0 or 1: masks, token numbers, types.
  void WriteCalibration(const Model& model) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> value(-1.0f, 1.0f);
    std::vector<Tensor> tensors;
    std::map<std::string, TensorView> views;
    for (const TensorSpec& spec : model.inputs()) {
      Shape shape = spec.shape;
      for (int64_t& d : shape) d = d == kUnknownDim ? 16 : d;
      shape[0] = 4;
      Tensor t(spec.dtype, shape);
      if (spec.dtype == DataType::kF32) {
        for (float& x : t.As<float>()) x = value(random);
      } else {
        for (int64_t& x : t.As<int64_t>()) x = static_cast<int64_t>(random() & 1u);
      }
      tensors.push_back(std::move(t));
    }
    for (size_t i = 0; i < tensors.size(); ++i) views[model.inputs()[i].name] = tensors[i].view();
    ASSERT_TRUE(WriteFileAtomically((folder_ / "calibration" / "samples.npz").string(), FormatNpz(views)).ok());
  }

  const fs::path folder_;
};

TEST_P(ImplementationsTest, NoHeavyLayerIsSlow) {
  const auto& [network, variant_name] = GetParam();
  std::string path = absl::StrCat("../shared/models/", network.file);
  if (network.make != nullptr) {
    path = (folder_ / "model.onnx").string();
    ASSERT_TRUE(WriteFileAtomically(path, network.make().SerializeAsString()).ok());
  } else if (!fs::exists(path)) {
    GTEST_SKIP() << path << " is not there";
  }
  const auto model = Model::Open(path);
  ASSERT_TRUE(model.ok()) << model.status();
  LoadOptions options;
  options.variant = variant_name;
  options.policy = *quant::BuiltInPolicy(variant_name.substr(0, variant_name.find('_')));
  if (variant_name == "int8_chunked") options.policy.accumulation = {32, true};
  if (variant_name == "int8_simulated") options.policy.execution = quant::Execution::kSimulated;
  options.calibration_dir = (folder_ / "calibration").string();
  WriteCalibration(**model);
  for (const TensorSpec& spec : (*model)->inputs()) {
    options.warm_shapes.push_back(spec.shape);
    for (int64_t& d : options.warm_shapes.back()) d = d == kUnknownDim ? 16 : d;
    if ((*model)->inputs()[0].shape[0] == kUnknownDim) options.warm_shapes.back()[0] = 1;
  }
  const auto variant = (*model)->LoadVariant(options);
  ASSERT_TRUE(variant.ok()) << variant.status();
  const auto layers = (*variant)->DescribePlan({});
  ASSERT_TRUE(layers.ok()) << layers.status();
  EXPECT_FALSE(layers->empty());
  for (const Layer& layer : *layers) {
    EXPECT_FALSE(layer.slow_reference) << layer.name << ": " << layer.op << " " << layer.precision << " on "
                                       << layer.implementation;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, ImplementationsTest,
    ::testing::Combine(::testing::Values(Network{"ResNetLike", ResNetLike}, Network{"MobileNetLike", MobileNetLike},
                                         Network{"BertLike", BertLike},
                                         Network{"mobilenet_v2", nullptr, "mobilenet_v2.onnx"},
                                         Network{"squeezenet1_1", nullptr, "squeezenet1_1.onnx"},
                                         Network{"resnet20_cifar10", nullptr, "resnet20_cifar10.onnx"},
                                         Network{"vit_cifar10", nullptr, "vit_cifar10.onnx"},
                                         Network{"ultraface_rfb320", nullptr, "ultraface_rfb320.onnx"},
                                         Network{"mobilenet_v2_qdq", nullptr, "mobilenet_v2_qdq.onnx"},
                                         Network{"mnist_8", nullptr, "mnist_8/model.onnx"},
                                         Network{"super_resolution_10", nullptr, "super_resolution_10/model.onnx"}),
                       ::testing::Values("fp32", "bf16", "fp16", "int8", "int8_chunked", "int8_simulated")),
    [](const auto& test) { return std::get<0>(test.param).name + "_" + std::get<1>(test.param); });

}  // namespace
}  // namespace precis::testing
