#ifndef PRECIS_TESTS_ENGINE_MODEL_FIXTURE_H_
#define PRECIS_TESTS_ENGINE_MODEL_FIXTURE_H_

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "onnx/onnx_pb.h"

namespace precis {

// A convolution, a residual block, pooling and a product over images [batch,3,8,8]; weights from `seed`.
onnx::ModelProto Classifier(uint32_t seed = 1);

// Uniform in +-1.
Tensor Images(int64_t batch, uint32_t seed = 5);

// A folder of the test's own, and the facade's calls without their error handling.
class ModelTest : public ::testing::Test {
 protected:
  ModelTest();
  ~ModelTest() override { std::filesystem::remove_all(folder_); }

  std::string PathOf(const std::string& name) const { return (folder_ / name).string(); }

  std::string Write(const onnx::ModelProto& model, const std::string& name = "model.onnx");
  std::shared_ptr<const Model> Open(const onnx::ModelProto& proto);
  std::shared_ptr<const Model> OpenText(const std::string& text);

  // Where calibration data lies; 16 samples.
  std::string Calibration();

  static LoadOptions Options(const std::string& variant);
  static std::shared_ptr<const Variant> Load(const std::shared_ptr<const Model>& model, const LoadOptions& options);
  static std::unique_ptr<Session> NewSession(const std::shared_ptr<const Variant>& variant);
  // The first output.
  static std::vector<float> Run(Session& session, const Tensor& input);
  static absl::Status RunStatus(Session& session, const std::vector<TensorView>& inputs);
  static void ExpectError(const absl::Status& status, absl::StatusCode code, const std::vector<std::string>& words);

  const std::filesystem::path folder_;
};

}  // namespace precis

#endif  // PRECIS_TESTS_ENGINE_MODEL_FIXTURE_H_
