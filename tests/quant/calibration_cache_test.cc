#include "engine/quant/calibration_cache.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/quant/quantized_graphs.h"
#include "tests/quant/reference_runner.h"
#include "tests/support/graph_builder.h"

namespace precis::quant {
namespace {

using ::testing::HasSubstr;

// A product behind a convolution, a file that stands for the model, and a folder for the cache.
class CalibrationCacheTest : public ::testing::Test {
 protected:
  CalibrationCacheTest()
      : folder_(std::filesystem::path(::testing::TempDir()) / absl::StrCat("precis_calibration_cache_", getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    WriteModel("model");
    const ir::ValueId x = b_.Input({1, 3, 6, 6});
    const ir::ValueId y = b_.Node(ir::Flatten{1}, {b_.Conv(x, 4, testing::SquareWindow({3, 3}))});
    b_.Output(b_.Node(ir::MatMul{}, {b_.Unary(ir::UnaryKind::kExp, y), b_.Weights({64, 5})}));
    samples_ = RandomSamples(b_.graph(), 4);
    table_ = CalibrateRandomly(b_.graph(), kInt8);
  }
  ~CalibrationCacheTest() override { std::filesystem::remove_all(folder_); }

  std::string model() const { return (folder_ / "model.onnx").string(); }
  std::string cache() const { return (folder_ / "cache").string(); }
  void WriteModel(const std::string& content) const { std::ofstream(model(), std::ios::binary) << content; }
  CalibrationKey Key(const Policy& policy = kInt8) const {
    const auto key = KeyOfCalibration(model(), b_.graph(), policy, samples_);
    EXPECT_TRUE(key.ok()) << key.status();
    return key.value_or(CalibrationKey{});
  }
  std::string Bytes() const { return FormatCalibration(Key(), *table_); }

  const std::filesystem::path folder_;
  mutable testing::GraphBuilder b_;
  MemorySamples samples_;
  std::shared_ptr<const CalibrationTable> table_;
};

TEST_F(CalibrationCacheTest, WhatWasWrittenIsReadBack) {
  ASSERT_TRUE(WriteCalibration(cache(), Key(), *table_).ok());
  const auto read = ReadCalibration(cache(), Key());
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ((*read)->values().size(), table_->values().size());
  ASSERT_GE(table_->values().size(), 2u);
  bool any_smoothed = false;
  for (const auto& [name, want] : table_->values()) {
    const ValueStatistics* got = (*read)->Find(name);
    ASSERT_NE(got, nullptr) << name;
    EXPECT_EQ(got->min, want.min);
    EXPECT_EQ(got->max, want.max);
    EXPECT_EQ(got->sum_of_mins, want.sum_of_mins);
    EXPECT_EQ(got->sum_of_maxs, want.sum_of_maxs);
    EXPECT_EQ(got->samples, want.samples);
    EXPECT_EQ(got->finite, want.finite);
    EXPECT_EQ(got->histogram.range(), want.histogram.range());
    EXPECT_EQ(got->histogram.bins(), want.histogram.bins());
    EXPECT_EQ(got->channel_sums, want.channel_sums);
    EXPECT_EQ(got->positions, want.positions);
    EXPECT_EQ(got->channel_max, want.channel_max);
    EXPECT_EQ(got->smoothing, want.smoothing);
    any_smoothed = any_smoothed || !want.smoothing.empty();
  }
  EXPECT_TRUE(any_smoothed);
}

TEST_F(CalibrationCacheTest, TheKeyChangesWithAllThatAResultDependsOn) {
  const CalibrationKey key = Key();
  EXPECT_EQ(Key(), key);
  Policy policy = kInt8;
  policy.calibration.method = CalibrationMethod::kEntropy;
  EXPECT_NE(Key(policy), key);
  policy = kInt8;
  policy.calibration.sample_limit = 2;
  EXPECT_NE(Key(policy), key);
  policy = kInt8;
  policy.weights.granularity = Granularity::kPerTensor;
  EXPECT_NE(Key(policy), key);
  policy = kInt8;
  policy.weights.bits = 4;
  EXPECT_NE(Key(policy), key);
  policy = kInt8;
  policy.weights.scheme = WeightScheme::kCodebook;  // of as many bits: read after calibration too
  EXPECT_EQ(Key(policy), key);
  policy = kInt8;
  policy.bias_correction = false;  // read after calibration: the result serves this policy too
  EXPECT_EQ(Key(policy), key);

  samples_.samples[3][0].As<float>()[17] += 0.5f;
  EXPECT_NE(Key(), key);
  samples_.samples[3][0].As<float>()[17] -= 0.5f;
  samples_ = RandomSamples(b_.graph(), 4);
  EXPECT_EQ(Key(), key);

  WriteModel("Model");
  EXPECT_NE(Key(), key);
  WriteModel("model");
  EXPECT_EQ(Key(), key);
  for (ir::ValueId v = 0; v < b_.graph().num_values(); ++v) {  // weights of an external file
    if (!b_.graph().IsConstant(v) || b_.graph().value(v).dtype != DataType::kF32) continue;
    Tensor changed = b_.graph().value(v).constant->Clone();
    changed.As<float>()[0] += 1;
    b_.graph().value(v).constant = std::make_shared<const Tensor>(std::move(changed));
    break;
  }
  EXPECT_NE(Key(), key);
}

TEST_F(CalibrationCacheTest, AMissingModelFileIsNamed) {
  const auto key = KeyOfCalibration("/nowhere/net.onnx", b_.graph(), kInt8, samples_);
  EXPECT_EQ(key.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(key.status().message()), HasSubstr("/nowhere/net.onnx"));
}

TEST_F(CalibrationCacheTest, NoFileIsNotFound) {
  EXPECT_EQ(ReadCalibration(cache(), Key()).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CalibrationCacheTest, AFileCutAnywhereIsRefused) {
  const std::string bytes = Bytes();
  ASSERT_TRUE(ParseCalibration(bytes, Key()).ok());
  for (size_t length = 0; length < bytes.size(); length += 1 + length / 40) {
    EXPECT_EQ(ParseCalibration(bytes.substr(0, length), Key()).status().code(), absl::StatusCode::kInvalidArgument)
        << length;
  }
  EXPECT_FALSE(ParseCalibration(bytes + "x", Key()).ok());
}

TEST_F(CalibrationCacheTest, AByteChangedAnywhereIsRefused) {
  const std::string bytes = Bytes();
  for (size_t at = 0; at < bytes.size(); at += 1 + at / 40) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_EQ(ParseCalibration(damaged, Key()).status().code(), absl::StatusCode::kInvalidArgument) << at;
  }
}

TEST_F(CalibrationCacheTest, AFileOfAnotherKeyIsRefusedByItsName) {
  ASSERT_TRUE(WriteCalibration(cache(), Key(), *table_).ok());
  CalibrationKey other = Key();
  other[0] ^= 1;
  std::filesystem::rename(CalibrationPath(cache(), Key()), CalibrationPath(cache(), other));
  const auto read = ReadCalibration(cache(), other);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr(CalibrationPath(cache(), other)));
}

TEST_F(CalibrationCacheTest, ADraftOfAKilledProcessHarmsNothingAndGoesWhenItIsOld) {
  ASSERT_TRUE(WriteCalibration(cache(), Key(), *table_).ok());
  const std::string path = CalibrationPath(cache(), Key());
  const std::string old = path + ".aaaaaa.part", fresh = path + ".bbbbbb.part";
  std::ofstream(old) << Bytes().substr(0, 100);
  std::ofstream(fresh) << Bytes().substr(0, 100);
  std::filesystem::last_write_time(old, std::filesystem::file_time_type::clock::now() - std::chrono::hours(5));
  EXPECT_TRUE(ReadCalibration(cache(), Key()).ok());
  ASSERT_TRUE(WriteCalibration(cache(), Key(), *table_).ok());
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_TRUE(std::filesystem::exists(fresh));  // somebody may be writing it
  EXPECT_TRUE(ReadCalibration(cache(), Key()).ok());
}

// A process that writes is killed at any moment, again and again: what is read afterwards is a whole table or none.
TEST_F(CalibrationCacheTest, AKillInTheMiddleOfWritingLeavesAWholeFileOrNone) {
  constexpr int kKills = 120, kMostKills = 20 * kKills;
  const CalibrationKey key = Key();
  int whole = 0, drafts = 0;
  // On a machine so busy that no writer came to write, more kills, each later.
  const auto enough = [&](int kills) { return kills >= kKills && whole > 0 && drafts > 0; };
  for (int kill_number = 0; kill_number < kMostKills && !enough(kill_number); ++kill_number) {
    const pid_t writer = fork();
    ASSERT_GE(writer, 0);
    if (writer == 0) {
      for (;;) {
        if (!WriteCalibration(cache(), key, *table_).ok()) _exit(1);
        std::filesystem::remove(CalibrationPath(cache(), key));  // so that a first write is what is cut, too
      }
    }
    const int round = 1 + kill_number / kKills;
    absl::SleepFor(round * absl::Microseconds(300 + kill_number * 97 % 6000));  // a write takes about a millisecond
    kill(writer, SIGKILL);
    int end = 0;
    ASSERT_EQ(waitpid(writer, &end, 0), writer);
    ASSERT_TRUE(WIFSIGNALED(end));
    const auto read = ReadCalibration(cache(), key);
    if (read.ok()) {
      ++whole;
      EXPECT_EQ(FormatCalibration(key, **read), FormatCalibration(key, *table_));
    } else {
      EXPECT_EQ(read.status().code(), absl::StatusCode::kNotFound) << read.status();
    }
    std::filesystem::create_directories(cache());
    for (const auto& file : std::filesystem::directory_iterator(cache())) drafts += file.path().extension() == ".part";
  }
  EXPECT_GT(whole, 0);
  EXPECT_GT(drafts, 0) << "no kill met a write";
  ASSERT_TRUE(WriteCalibration(cache(), key, *table_).ok());
  EXPECT_TRUE(ReadCalibration(cache(), key).ok());
}

TEST_F(CalibrationCacheTest, LiveTrafficIsKeptApartFromStreamsAndByHowMuchWasAskedFor) {
  Policy stream = kInt8, live = kInt8;
  stream.calibration.source = CalibrationSource::kStream;
  live.calibration.source = CalibrationSource::kLive;
  const auto key = [&](const Policy& policy) { return *KeyOfStream(model(), policy); };
  EXPECT_EQ(key(stream), key(kInt8));
  EXPECT_NE(key(live), key(stream));
  Policy more = live;
  more.calibration.sample_limit = 500;
  EXPECT_NE(key(more), key(live));
}

TEST_F(CalibrationCacheTest, ANoteOfAStreamIsReadBackAndCheckedLikeATable) {
  const auto stream = KeyOfStream(model(), kInt8);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE(absl::IsNotFound(ReadStreamNote(cache(), *stream).status()));
  StreamNote note;
  note.network = *KeyOfNetwork(model(), b_.graph(), kInt8);
  note.calibration = Key();
  note.input_shapes = {{1, 3, 6, 6}, {}};
  ASSERT_TRUE(WriteStreamNote(cache(), *stream, note).ok());
  const auto read = ReadStreamNote(cache(), *stream);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, note);
  for (const auto& file : std::filesystem::directory_iterator(cache()))
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - 1);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadStreamNote(cache(), *stream).status()));
}

TEST_F(CalibrationCacheTest, TheKeyOfSamplesThatComeOneByOneIsThatOfTheFolder) {
  SamplesHash hash;
  for (const auto& sample : samples_.samples) hash.Add(sample);
  EXPECT_EQ(hash.KeyWith(*KeyOfNetwork(model(), b_.graph(), kInt8)), Key());
}

TEST_F(CalibrationCacheTest, AFolderThatCannotBeMadeIsUnavailable) {
  EXPECT_EQ(WriteCalibration(model() + "/cache", Key(), *table_).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace precis::quant
