#include <limits>

#include "engine/quant/calibration_table.h"
#include "engine/quant/quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/quantized_graphs.h"
#include "tests/quant/reference_runner.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using testing::GraphBuilder;
using ::testing::HasSubstr;

// Input -> Conv + ReLU -> Conv -> output.
struct TwoConvolutions {
  GraphBuilder b;
  ir::ValueId x, y, z;
  TwoConvolutions() {
    x = b.Input({1, 3, 6, 6});
    y = b.Conv(x, 8, testing::SquareWindow({3, 3}));
    b.Fuse(y, ir::Unary{ir::UnaryKind::kRelu});
    z = b.Conv(y, 4, testing::SquareWindow({1, 1}));
    b.Output(z);
  }
};

TEST(CalibrateTest, WatchesWhatInt8NeedsLevelsFor) {
  TwoConvolutions net;
  const auto table = CalibrateRandomly(net.b.graph(), kInt8);
  const ValueStatistics* x = table->Find(net.b.graph().value(net.x).name);
  const ValueStatistics* y = table->Find(net.b.graph().value(net.y).name);
  ASSERT_NE(x, nullptr);
  ASSERT_NE(y, nullptr);
  EXPECT_EQ(table->Find(net.b.graph().value(net.z).name), nullptr);  // f32 for the graph's output
  EXPECT_EQ(x->samples, 20);
  EXPECT_EQ(x->channel_sums.size(), 3u);
  EXPECT_GE(y->min, 0);
}

TEST(CalibrateTest, WatchesWhatWasMovedInF32) {
  GraphBuilder b;
  const ir::ValueId flat = b.Node(ir::Flatten{1}, {b.Input({1, 3, 4, 4})});
  b.Output(b.Node(ir::MatMul{}, {flat, b.Weights({48, 4})}));
  b.Output(b.Unary(ir::UnaryKind::kExp, flat));  // keeps it in f32; the product reads a copy
  const auto table = CalibrateRandomly(b.graph(), kInt8);
  const ValueStatistics* s = table->Find(b.graph().value(flat).name);
  ASSERT_NE(s, nullptr);
  EXPECT_FALSE(s->histogram.empty());
}

TEST(CalibrateTest, StopsAtTheSampleLimit) {
  TwoConvolutions net;
  Policy policy = kInt8;
  policy.calibration.sample_limit = 3;
  EXPECT_EQ(CalibrateRandomly(net.b.graph(), policy)->Find(net.b.graph().value(net.x).name)->samples, 3);
}

TEST(CalibrateTest, ReportsProgressUpToOne) {
  TwoConvolutions net;
  ReferenceRunner runner(net.b.graph());
  std::vector<double> fractions;
  ASSERT_TRUE(Calibrate(net.b.graph(), kInt8, runner, RandomSamples(net.b.graph(), 4),
                        [&](const std::string& phase, double fraction) {
                          EXPECT_EQ(phase, "calibrate");
                          fractions.push_back(fraction);
                        })
                  .ok());
  EXPECT_EQ(fractions, (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
}

TEST(CalibrateTest, RefusesNanAndInfinityNamingSampleAndInput) {
  TwoConvolutions net;
  ReferenceRunner runner(net.b.graph());
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    MemorySamples samples = RandomSamples(net.b.graph(), 3);
    samples.samples[2][0].As<float>()[5] = bad;
    const auto status = Calibrate(net.b.graph(), kInt8, runner, samples, nullptr).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("sample 2"));
    EXPECT_THAT(status.message(), HasSubstr(net.b.graph().value(net.x).name));
  }
}

TEST(CalibrateTest, RefusesASampleOfAnotherShape) {
  TwoConvolutions net;
  ReferenceRunner runner(net.b.graph());
  MemorySamples samples = RandomSamples(net.b.graph(), 2);
  samples.samples[1][0] = Tensor(DataType::kF32, {1, 3, 5, 5});
  const auto status = Calibrate(net.b.graph(), kInt8, runner, samples, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("[1,3,5,5]"));
}

TEST(CalibrateTest, NeedsSamples) {
  TwoConvolutions net;
  ReferenceRunner runner(net.b.graph());
  EXPECT_EQ(Calibrate(net.b.graph(), kInt8, runner, MemorySamples{}, nullptr).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(CalibrateTest, PassesTheRunnersErrorOn) {
  class Failing : public Runner {
    absl::Status Run(const std::vector<Tensor>&, const std::vector<ir::ValueId>&,
                     absl::FunctionRef<void(const Observation&)>) override {
      return absl::InternalError("no");
    }
  } failing;
  TwoConvolutions net;
  EXPECT_EQ(Calibrate(net.b.graph(), kInt8, failing, RandomSamples(net.b.graph(), 1), nullptr).status().code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace precis::quant
