// What a request gets must not depend on the requests that it met: real networks at every precision, alone and in batches.

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "engine/tensor/npy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/batching/worker_pool.h"
#include "tests/engine/random_weights.h"
#include "tests/onnx/text_model.h"

namespace precis::server {
namespace {

constexpr int64_t kMaxBatch = 8;
constexpr int kRequests = 48;

struct Network {
  const char* name;
  Shape item;  // with dimension 0 for the batch
  const char* text;
  std::vector<precis::testing::Weight> weights;
};

const Network kNetworks[] = {
    {"convolutions",
     {1, 3, 16, 16},
     R"(g (float[batch, 3, 16, 16] image) => (float[batch, 10] scores) {
        a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(image, w1, b1)
        b = Relu(a)
        c = Conv<pads = [1, 1, 1, 1], group = 32>(b, w2, b1)
        d = Add(c, b)
        e = Relu(d)
        f = GlobalAveragePool(e)
        h = Flatten(f)
        scores = Gemm(h, w3, b3)
      })",
     {{"w1", {32, 3, 3, 3}}, {"b1", {32}}, {"w2", {32, 1, 3, 3}}, {"w3", {32, 10}}, {"b3", {10}}}},
    // Bound by its weights: where batches pay.
    {"products",
     {1, 1024},
     R"(g (float[batch, 1024] x) => (float[batch, 1024] y) {
        a = Gemm(x, w1, b1)
        b = Relu(a)
        c = Gemm(b, w2, b1)
        d = Relu(c)
        y = Gemm(d, w3, b1)
      })",
     {{"w1", {1024, 1024}}, {"w2", {1024, 1024}}, {"w3", {1024, 1024}}, {"b1", {1024}}}},
    {"attention",
     {1, 12, 64},
     R"(g (float[batch, 12, 64] x) => (float[batch, 12, 64] y) {
        q = MatMul(x, wq)
        k = MatMul(x, wk)
        v = MatMul(x, wv)
        kt = Transpose<perm = [0, 2, 1]>(k)
        s = MatMul(q, kt)
        p = Softmax<axis = -1>(s)
        a = MatMul(p, v)
        r = Add(a, x)
        y = LayerNormalization<axis = -1>(r, scale, bias)
      })",
     {{"wq", {64, 64}}, {"wk", {64, 64}}, {"wv", {64, 64}}, {"scale", {64}}, {"bias", {64}}}},
};

Tensor Random(Shape shape, int64_t items, uint32_t seed) {
  shape[0] = items;
  Tensor t(DataType::kF32, shape);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& x : t.As<float>()) x = normal(random);
  return t;
}

class BatchedNetworksTest : public ::testing::TestWithParam<std::tuple<int, const char*>> {
 protected:
  BatchedNetworksTest()
      : network_(kNetworks[std::get<0>(GetParam())]),
        folder_(std::filesystem::path(::testing::TempDir()) /
                absl::StrCat("precis_batched_", getpid(), "_", network_.name, "_", std::get<1>(GetParam()))) {
    std::filesystem::create_directories(folder_ / "calibration");
  }
  ~BatchedNetworksTest() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<const Variant> Load() {
    onnx::ModelProto proto = onnx_import::ParseModel(network_.text);
    precis::testing::AddRandomWeights(proto, network_.weights);
    std::ofstream(folder_ / "model.onnx", std::ios::binary) << proto.SerializeAsString();
    EXPECT_TRUE(
        WriteFileAtomically((folder_ / "calibration/x.npy").string(), FormatNpy(Random(network_.item, 16, 3).view()))
            .ok());
    const auto model = Model::Open((folder_ / "model.onnx").string());
    EXPECT_TRUE(model.ok()) << model.status();
    LoadOptions options;
    options.variant = std::get<1>(GetParam());
    options.policy = *quant::BuiltInPolicy(options.variant);
    options.calibration_dir = (folder_ / "calibration").string();
    options.warm_shapes = {network_.item};
    auto variant = (*model)->LoadVariant(options);
    EXPECT_TRUE(variant.ok()) << variant.status();
    return *variant;
  }

  // The pool's answers to these requests, sent while its only worker is held up, so that they meet in batches.
  static std::vector<Tensor> Answers(WorkerPool& pool, const std::vector<Tensor>& requests, bool together) {
    std::vector<Tensor> answers(requests.size());
    absl::BlockingCounter all(static_cast<int>(requests.size()));
    for (size_t i = 0; i < requests.size(); ++i) {
      absl::BlockingCounter one(1);
      Job job;
      job.inputs = {requests[i].view()};
      job.batch_size = requests[i].shape()[0];
      job.done = [&, i](JobResult result) {
        EXPECT_TRUE(result.status.ok()) << result.status;
        if (result.status.ok()) answers[i] = std::move(result.outputs.at(0));
        if (!together) one.DecrementCount();
        all.DecrementCount();  // last: then the frame may be gone
      };
      pool.Submit(std::move(job));
      if (!together) one.Wait();
    }
    all.Wait();
    return answers;
  }

  const Network& network_;
  const std::filesystem::path folder_;
};

TEST_P(BatchedNetworksTest, AnswersTheSameBitsAloneAndInABatch) {
  WorkerPoolOptions options;
  options.queue_size = kRequests;
  options.allow_inline = false;
  options.scheduling.max_batch_size = kMaxBatch;
  options.scheduling.dynamic_batching = true;
  options.scheduling.max_queue_delay = absl::Milliseconds(20);
  auto pool = WorkerPool::Create(Load(), options, nullptr);
  ASSERT_TRUE(pool.ok()) << pool.status();
  std::cout << (*pool)->batch_plan().reason() << "\n";
  std::vector<Tensor> requests, items;
  for (int i = 0; i < kRequests; ++i) {
    requests.push_back(Random(network_.item, i % 3 + 1, static_cast<uint32_t>(100 + i)));
    const size_t row = requests.back().size_bytes() / static_cast<size_t>(i % 3 + 1);
    for (int r = 0; r <= i % 3; ++r) {
      items.emplace_back(DataType::kF32, network_.item);
      std::memcpy(items.back().data(), static_cast<char*>(requests.back().data()) + static_cast<size_t>(r) * row, row);
    }
  }
  const std::vector<Tensor> alone = Answers(**pool, items, /*together=*/false);
  const std::vector<Tensor> met = Answers(**pool, requests, /*together=*/true);
  size_t item = 0;
  for (size_t i = 0; i < met.size(); ++i) {
    const int64_t rows = requests[i].shape()[0];
    ASSERT_EQ(met[i].shape()[0], rows);
    const size_t row = met[i].size_bytes() / static_cast<size_t>(rows);
    for (int64_t r = 0; r < rows; ++r, ++item) {
      ASSERT_EQ(alone[item].size_bytes(), row);
      EXPECT_EQ(
          std::memcmp(alone[item].data(), static_cast<const char*>(met[i].data()) + static_cast<size_t>(r) * row, row),
          0)
          << "request " << i << ", row " << r;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryPrecision, BatchedNetworksTest,
                         ::testing::Combine(::testing::Range(0, 3), ::testing::Values("fp32", "bf16", "fp16", "int8")),
                         [](const auto& test) {
                           return absl::StrCat(kNetworks[std::get<0>(test.param)].name, "_", std::get<1>(test.param));
                         });

}  // namespace
}  // namespace precis::server
