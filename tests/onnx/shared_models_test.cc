// Every ONNX file of the project's shared models imports; they hold what exporters really write.
#include <filesystem>
#include <string>
#include <vector>

#include "engine/onnx/importer.h"
#include "gtest/gtest.h"

namespace precis::onnx_import {
namespace {

namespace fs = std::filesystem;

TEST(SharedModelsTest, EachImportsAndVerifies) {
  const fs::path folder = fs::path(PRECIS_SOURCE_DIR).parent_path() / "shared" / "models";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  int imported = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".onnx") continue;
    if (entry.path().filename() == "skeleton.onnx") continue;  // its weights are made by shared/tools/make_minilm.py
    const auto graph = ImportFile(entry.path().string());
    ASSERT_TRUE(graph.ok()) << entry.path() << ": " << graph.status();
    EXPECT_TRUE(graph->Verify().ok()) << entry.path() << ": " << graph->Verify();
    EXPECT_FALSE(graph->inputs.empty()) << entry.path();
    EXPECT_FALSE(graph->outputs.empty()) << entry.path();
    ++imported;
  }
  EXPECT_GE(imported, 8);
}

}  // namespace
}  // namespace precis::onnx_import
