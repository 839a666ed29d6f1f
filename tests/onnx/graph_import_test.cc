#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/onnx/text_model.h"

namespace precis::onnx_import {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& message) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}
void ExpectInvalid(const absl::Status& status, const std::string& message) {
  ExpectError(status, absl::StatusCode::kInvalidArgument, message);
}
void ExpectUnsupported(const absl::Status& status, const std::string& message) {
  ExpectError(status, absl::StatusCode::kUnimplemented, message);
}

// --- What a good model becomes ---

TEST(GraphImportTest, KeepsNamesTypesAndSymbolsOfTheSignature) {
  const auto graph = ImportText(R"(g (float[batch, 3, ?] x, int64[2] n) => (bool[batch] y) { y = F1(x, n) }
      <domain: "d", opset_import: ["" : 21]> unused (a) => (b) { b = Neg(a) })");
  // An operator that nobody knows: the signature is not at fault.
  ExpectUnsupported(graph.status(), "F1");
  const auto good =
      ImportText("g (float[batch, 3, seq] x, uint8[2] n) => (bool[batch, k] y, float z) { y = IsNaN(x) z = Neg(x) }");
  ASSERT_TRUE(good.ok()) << good.status();
  ASSERT_EQ(good->inputs.size(), 2u);
  const ir::Value& x = good->value(good->inputs[0].value);
  EXPECT_EQ(x.name, "x");
  EXPECT_EQ(x.dtype, DataType::kF32);
  EXPECT_EQ(x.shape, (Shape{kUnknownDim, 3, kUnknownDim}));
  EXPECT_FALSE(x.typed);
  EXPECT_THAT(good->inputs[0].dim_names, ElementsAre("batch", "", "seq"));
  EXPECT_EQ(good->value(good->inputs[1].value).dtype, DataType::kU8);
  ASSERT_EQ(good->outputs.size(), 2u);
  const ir::Value& y = good->value(good->outputs[0].value);
  EXPECT_EQ(y.name, "y");
  EXPECT_EQ(y.dtype, DataType::kBool);
  EXPECT_EQ(y.shape, (Shape{kUnknownDim, kUnknownDim}));
  EXPECT_THAT(good->outputs[0].dim_names, ElementsAre("batch", "k"));
}

TEST(GraphImportTest, TakesInitializersThatAreAlsoInputsAsConstants) {
  onnx::ModelProto model =
      ParseModel("g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }");
  const auto graph = Import(model);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->inputs.size(), 1u);
  EXPECT_EQ(graph->ToString(), "Add:y = Add(x, w:f32[2]) -> y\n");
}

TEST(GraphImportTest, SortsNodesThatTheFileDoesNot) {
  EXPECT_EQ(ImportedText("g (float[2] x) => (float[2] y) { y = Neg(a) a = Relu(x) }"),
            "Relu:a = Relu(x) -> a\nNeg:y = Neg(a) -> y\n");
}

TEST(GraphImportTest, GivesEveryNodeAUniqueName) {
  onnx::ModelProto model = ParseModel("g (float[2] x) => (float[2] y) { a = Relu(x) b = Relu(a) y = Relu(b) }");
  model.mutable_graph()->mutable_node(0)->set_name("same");
  model.mutable_graph()->mutable_node(1)->set_name("same");
  const auto graph = Import(model);
  ASSERT_TRUE(graph.ok()) << graph.status();
  std::set<std::string> names;
  for (ir::NodeId id = 0; id < graph->num_node_slots(); ++id) names.insert(graph->node(id).name);
  EXPECT_EQ(names, (std::set<std::string>{"same", "same#2", "Relu:y"}));
}

TEST(GraphImportTest, IgnoresOpsetsOfDomainsThatNothingUses) {
  EXPECT_EQ(ImportedText(R"(<ir_version: 8, opset_import: ["ai.onnx" : 13, "com.example" : 99, "ai.onnx.ml" : 3]>
                            g (float[2] x) => (float[2] y) { y = Relu(x) })"),
            "Relu:y = Relu(x) -> y\n");
}

TEST(GraphImportTest, ExpandsFunctionsInPlace) {
  EXPECT_EQ(ImportedText(R"(<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
      g (float[2] x) => (float[2] y) { t = local.twice <slope = 0.5> (x) y = local.twice (t) }
      <domain: "local", opset_import: ["" : 17, "local" : 1]>
      twice <slope: float = 0.25> (a) => (c) { b = LeakyRelu <alpha: float = @slope> (a) c = local.inner (b) }
      <domain: "local", opset_import: ["" : 17]>
      inner (p) => (q) { q = Neg(p) })"),
            "twice/LeakyRelu:b = LeakyRelu(x) -> twice/b\n"
            "twice/inner/Neg:q = Neg(twice/b) -> t\n"
            "twice/LeakyRelu:b#2 = LeakyRelu(t) -> twice/b#2\n"
            "twice/inner/Neg:q#2 = Neg(twice/b#2) -> y\n");
}

TEST(GraphImportTest, GivesFunctionsTheirAttributes) {
  const auto graph = ImportText(R"(<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
      g (float[2] x) => (float[2] y, float[2] z) { y = local.leaky <slope = 0.5> (x) z = local.leaky (x) }
      <domain: "local", opset_import: ["" : 17]>
      leaky <slope: float = 0.25> (a) => (b) { b = LeakyRelu <alpha: float = @slope> (a) })");
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(std::get<ir::Unary>(graph->node(0).op).alpha, 0.5f);
  EXPECT_EQ(std::get<ir::Unary>(graph->node(1).op).alpha, 0.25f);
}

TEST(GraphImportTest, KeepsTheNameOfAnOutputThatAFunctionPassesThrough) {
  const auto graph = ImportText(R"(<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
      g (float[2] x) => (float[2] y) { y = local.same (x) }
      <domain: "local", opset_import: ["" : 17]>
      same (a) => (a) { b = Neg(a) })");
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->value(graph->outputs[0].value).name, "y");
}

TEST(GraphImportTest, ExpandsOperatorsThatOnnxDefinesByOthers) {
  const auto graph = ImportText("g (int64 n) => (float[k] y) { y = HannWindow (n) }", 17);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT(graph->ToString(), HasSubstr("Cos("));
}

constexpr char kIf[] = R"(g (float[2] x) => (float[2] y) <bool c = {%d}> {
  t = Neg(x)
  y = If (c) <then_branch = a () => (float[2] p) { p = Relu(t) }, else_branch = b () => (float[2] q) { q = Abs(t) }>
})";

TEST(GraphImportTest, TakesTheBranchOfAConstantCondition) {
  std::string text = kIf;
  EXPECT_THAT(ImportedText(std::string(text).replace(text.find("%d"), 2, "1")), HasSubstr("If/Relu:p = Relu(t) -> y"));
  EXPECT_THAT(ImportedText(std::string(text).replace(text.find("%d"), 2, "0")), HasSubstr("If/Abs:q = Abs(t) -> y"));
}

TEST(GraphImportTest, KeepsBothBranchesOfACondition) {
  const std::string text = ImportedText(R"(g (float[2] x, bool c) => (float[2] y) {
    t = Neg(x)
    y = If (c) <then_branch = a () => (float[2] p) { p = Relu(t) }, else_branch = b () => (float[2] p) { p = Abs(x) }>
  })");
  EXPECT_THAT(text, HasSubstr("If/then_branch/Relu:p = Relu(t) -> If/then_branch/p"));
  EXPECT_THAT(text, HasSubstr("If/else_branch/Abs:p = Abs(x) -> If/else_branch/p"));
  EXPECT_THAT(text, HasSubstr("If:y = If(c, If/then_branch/p, If/else_branch/p) -> y"));
}

constexpr char kLoop[] = R"(g (float[2] x) => (float[2] y, float[3, 2] all) <int64 n = {%d}> {
  y, all = Loop (n, , x) <body = b (int64 i, bool go, float[2] state) => (bool again, float[2] next, float[2] out) {
    again = Identity(go)
    next = Relu(state)
    out = Neg(next)
  }>
})";

TEST(GraphImportTest, UnrollsALoop) {
  std::string text = kLoop;
  text = ImportedText(text.replace(text.find("%d"), 2, "3"));
  EXPECT_THAT(text, HasSubstr("Loop/2/Relu:next = Relu(Loop/1/next) -> Loop/2/next"));
  EXPECT_THAT(text, HasSubstr("Loop:y = Identity(Loop/2/next) -> y"));
  EXPECT_THAT(text, HasSubstr("= Concat(Loop/0/scanned, Loop/1/scanned, Loop/2/scanned) -> all"));
}

TEST(GraphImportTest, RefusesLoopsThatItCannotUnroll) {
  for (const char* passes : {"0", "-1", "1000000000"}) {
    std::string text = kLoop;
    ExpectUnsupported(ImportText(text.replace(text.find("%d"), 2, passes)).status(),
                      absl::StrCat("unsupported: Loop \"y\" (opset 21): ", passes, " passes over a body of "));
  }
  ExpectUnsupported(ImportText(R"(g (float[2] x, int64 n) => (float[2] y) {
      y = Loop (n, , x) <body = b (int64 i, bool go, float[2] s) => (bool again, float[2] next) { again = Identity(go) next = Relu(s) }>
    })")
                        .status(),
                    "unsupported: Loop \"y\" (opset 21): a number of passes computed at run time");
  ExpectUnsupported(ImportText(R"(g (float[2] x) => (float[2] y) <int64 n = {2}> {
      y = Loop (n, , x) <body = b (int64 i, bool go, float[2] s) => (bool again, float[2] next) { again = Not(go) next = Relu(s) }>
    })")
                        .status(),
                    "unsupported: Loop \"y\" (opset 21): a condition computed at run time");
}

TEST(GraphImportTest, RefusesAnIfWithoutBranches) {
  onnx::ModelProto model = ParseModel(
      "g (float[2] x, bool c) => (float[2] y) { y = If (c) <then_branch = a () => (float[2] p) { p = Relu(x) }, "
      "else_branch = b () => (float[2] q) { q = Abs(x) }> }");
  model.mutable_graph()->mutable_node(0)->mutable_attribute()->RemoveLast();
  ExpectInvalid(Import(model).status(), "else_branch or its outputs are missing");
}

TEST(GraphImportTest, DropsWhatNothingReadsOfARecurrentLayer) {
  EXPECT_THAT(ImportedText(R"(g (float[5,1,3] x, float[1,12,3] w, float[1,12,4] r) => (float[1,1,4] last) {
    all, last = GRU <hidden_size = 4> (x, w, r)
  })"),
              HasSubstr("= GRU(x, w, r, -, -, -) -> -, last\n"));
}

// --- What is unsupported ---

TEST(GraphImportTest, NamesEveryUnsupportedNodeAtOnce) {
  onnx::ModelProto model = ParseModel(R"(<ir_version: 8, opset_import: ["" : 16, "com.example" : 2]>
      g (float[2, 2] x, bool c) => (float[2, 2] y) {
        a = Det(x)
        b = com.example.Magic(a)
        t = Relu(b)
        u, indices = MaxPool <kernel_shape = [1, 1], storage_order = 1> (x)
        z = If (c) <then_branch = p () => (float[2, 2] v) { v = Relu(x) }, else_branch = q () => (float[2, 2] w) { w = Abs(x) }>
        y = Add(t, indices)
      })");
  model.mutable_graph()->mutable_node(0)->set_name("determinant");
  ExpectUnsupported(Import(model).status(),
                    "unsupported: Det \"determinant\" (opset 16), com.example.Magic \"b\" (opset 2), "
                    "MaxPool \"u\" (opset 16): output 1");
}

TEST(GraphImportTest, LeavesOutOutputsThatNothingReads) {
  EXPECT_EQ(
      ImportedText("g (float[1,1,4,4] x) => (float[1,1,4,4] y) { y, indices = MaxPool <kernel_shape = [1, 1]> (x) }"),
      "MaxPool:y = MaxPool(x) -> y\n");
}

TEST(GraphImportTest, ListsNoMoreThanAHundred) {
  std::string nodes;
  for (int i = 0; i < 150; ++i) absl::StrAppend(&nodes, "v", i, " = Det(x) ");
  ExpectUnsupported(ImportText("g (float[2,2] x) => (float v0) { " + nodes + "}").status(), " and 50 more");
}

TEST(GraphImportTest, NamesInputsAndWeightsOfForeignTypes) {
  ExpectUnsupported(
      ImportText("g (string[2] x, seq(float[2]) s) => (float[2] y) <float8e4m3fn[1] w = {1}> { y = Add(x, w) }")
          .status(),
      "unsupported: initializer \"w\": element type FLOAT8E4M3FN, input \"x\": element type STRING, input \"s\": not a "
      "tensor");
}

TEST(GraphImportTest, RefusesOtherOpsetsAndVersions) {
  ExpectUnsupported(ImportText("g (float[2] x) => (float[2] y) { y = Relu(x) }", 6).status(), "opset 6, want 7 to 22");
  ExpectUnsupported(ImportText("g (float[2] x) => (float[2] y) { y = Relu(x) }", 23).status(),
                    "opset 23, want 7 to 22");
  ExpectUnsupported(
      ImportText("<ir_version: 99, opset_import: [\"\" : 13]> g (float[2] x) => (float[2] y) { y = Relu(x) }").status(),
      "IR version 99");
  ExpectInvalid(
      ImportText("<ir_version: 8, opset_import: [\"other\" : 1]> g (float[2] x) => (float[2] y) { y = Relu(x) }")
          .status(),
      "node computing \"y\" (Relu): opset 0");
}

// --- What is broken ---

TEST(GraphImportTest, RefusesWhatIsNoModel) {
  ExpectInvalid(ImportBytes("", "").status(), "not an ONNX model");
  ExpectInvalid(ImportBytes("certainly not protobuf", "").status(), "truncated, or not an ONNX");
  const std::string whole = ParseModel("g (float[2] x) => (float[2] y) { y = Relu(x) }").SerializeAsString();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ImportBytes(absl::string_view(whole).substr(0, size), "").ok()) << size << " of " << whole.size();
  }
}

TEST(GraphImportTest, RefusesAFileThatIsNone) {
  ExpectError(ImportFile("/nowhere/model.onnx").status(), absl::StatusCode::kNotFound, "/nowhere/model.onnx");
  ExpectInvalid(ImportFile("/").status(), "not a regular file");
  ExpectInvalid(ImportFile("/dev/zero").status(), "not a regular file");
}

TEST(GraphImportTest, RefusesCycles) {
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { a = Add(x, b) b = Neg(a) y = Relu(b) }").status(),
                "node computing \"a\" (Add): part of, or fed by, a cycle");
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { y = Neg(y) }").status(), "cycle");
}

TEST(GraphImportTest, RefusesValuesDefinedTwice) {
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { y = Neg(x) y = Relu(x) }").status(),
                "value \"y\": computed twice, by node computing \"y\" (Neg) and node computing \"y\" (Relu)");
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { x = Neg(x) y = Relu(x) }").status(), "");
  ExpectInvalid(ImportText("g (float[2] x, float[2] x) => (float[2] y) { y = Relu(x) }").status(),
                "value \"x\": defined twice");
  onnx::ModelProto model = ParseModel("g (float[2] x) => (float[2] y) <float w = {1}> { y = Add(x, w) }");
  *model.mutable_graph()->add_initializer() = model.graph().initializer(0);
  ExpectInvalid(Import(model).status(), "value \"w\": defined twice");
}

TEST(GraphImportTest, RefusesMissingInputsAndOutputs) {
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { y = Add(x, ghost) }").status(),
                "node computing \"y\" (Add): input \"ghost\" is neither computed, nor an input, nor an initializer");
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] ghost) { y = Relu(x) }").status(),
                "output \"ghost\": nothing computes it");
  ExpectInvalid(ImportText("g (float[2] x) => () { y = Relu(x) }").status(), "no outputs");
}

TEST(GraphImportTest, RefusesNodesThatTheirSchemaDoesNotKnow) {
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { y = Relu(x, x) }").status(),
                "node computing \"y\" (Relu): ");
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { y = Relu <slope = 1.0> (x) }").status(), "slope");
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { y = LeakyRelu <alpha = 1> (x) }").status(), "alpha");
  ExpectInvalid(ImportText("g (float[2] x) => (float[2] y) { y = Cast(x) }").status(), "to");
}

TEST(GraphImportTest, RefusesDimensionsOverTheLimit) {
  ExpectInvalid(ImportText("g (float[1000000000000] x) => (float[n] y) { y = Relu(x) }").status(),
                "input \"x\": rank or dimensions");
  ExpectInvalid(ImportText("g (float[4294967296, 4294967296] x) => (float[n] y) { y = Relu(x) }").status(),
                "input \"x\"");
  onnx::ModelProto model = ParseModel("g (float[2] x) => (float[2] y) <float w = {1}> { y = Add(x, w) }");
  model.mutable_graph()->mutable_initializer(0)->add_dims(1'000'000'000'000);
  ExpectInvalid(Import(model).status(), "initializer \"w\": dims [1000000000000] of f32");
}

TEST(GraphImportTest, BoundsTheNumberOfNodes) {
  ImportLimits limits;
  limits.max_nodes = 2;
  ExpectInvalid(
      Import(ParseModel("g (float[2] x) => (float[2] y) { a = Relu(x) b = Relu(a) y = Relu(b) }"), "", limits).status(),
      "more than 2 nodes");
}

TEST(GraphImportTest, BoundsWhatEmptyLoopsAreUnrolledTo) {
  std::string text = "g (float[2] x) => (float[2] y) <int64 n = {1000}> {\n";
  for (int i = 0; i < 250; ++i) {  // a quarter of a million passes over nothing
    absl::StrAppend(&text, i == 249 ? "y" : absl::StrCat("s", i), " = Loop (n, , ",
                    i == 0 ? "x" : absl::StrCat("s", i - 1), ") <body = b", i,
                    " (int64 i, bool go, float[2] state) => (bool go, float[2] state) {}>\n");
  }
  ExpectInvalid(ImportText(text + "}").status(), "more than 200000 nodes");
}

TEST(GraphImportTest, BoundsWhatFunctionsExpandTo) {
  ExpectInvalid(ImportText(R"(<ir_version: 8, opset_import: ["" : 17, "l" : 1]>
      g (float[2] x) => (float[2] y) { y = l.f (x) }
      <domain: "l", opset_import: ["" : 17, "l" : 1]> f (a) => (b) { b = l.f (a) })")
                    .status(),
                "nested deeper than 8, or recursive");
  // Eight levels, each calling the next ten times, are 10^8 nodes.
  std::string text =
      R"(<ir_version: 8, opset_import: ["" : 17, "l" : 1]> g (float[2] x) => (float[2] y) { y = l.f0 (x) })";
  for (int level = 0; level < 8; ++level) {
    absl::StrAppend(&text, "\n<domain: \"l\", opset_import: [\"\" : 17, \"l\" : 1]> f", level, " (v0) => (v10) {");
    for (int i = 0; i < 10; ++i)
      absl::StrAppend(&text, "v", i + 1, " = ", level < 7 ? absl::StrCat("l.f", level + 1) : "Neg", "(v", i, ") ");
    text += "}";
  }
  ExpectInvalid(ImportText(text).status(), "more than 200000 nodes");
}

TEST(GraphImportTest, RefusesAbsurdNames) {
  const std::string name(5000, 'n');
  onnx::ModelProto model = ParseModel("g (float[2] x) => (float[2] y) { y = Relu(x) }");
  model.mutable_graph()->mutable_node(0)->set_name(name);
  ExpectInvalid(Import(model).status(), "a name of over 4096 bytes");
  model = ParseModel("g (float[2] x) => (float[2] y) { y = Relu(x) }");
  model.mutable_graph()->mutable_input(0)->set_name(name);
  ExpectInvalid(Import(model).status(), "");
}

TEST(GraphImportTest, SurvivesDeepNesting) {
  onnx::ModelProto model = ParseModel("g (float[2] x) => (float[2] y) { y = Relu(x) }");
  onnx::GraphProto inner = model.graph();
  for (int i = 0; i < 60; ++i) {
    onnx::GraphProto outer;
    onnx::NodeProto* node = outer.add_node();
    node->set_op_type("If");
    node->add_input("x");
    node->add_output("y");
    onnx::AttributeProto* branch = node->add_attribute();
    branch->set_name("then_branch");
    branch->set_type(onnx::AttributeProto::GRAPH);
    *branch->mutable_g() = inner;
    inner = outer;
  }
  *model.mutable_graph()->mutable_node() = inner.node();
  EXPECT_FALSE(Import(model).ok());
}

}  // namespace
}  // namespace precis::onnx_import
