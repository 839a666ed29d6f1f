// Writes the seeds of import_fuzz: one small model per feature of the format, as model_NN.onnx in the folder given. The corpus in the
// repository was made by it; inputs that once crashed are added by hand.
#include <cstdio>
#include <fstream>
#include <string>

#include "tests/onnx/text_model.h"

namespace {

constexpr const char* kModels[] = {
    "g (float[batch, 3] x) => (float[batch, 3] y) { y = Relu(x) }",
    "g (float[1,1,4,4] x) => (float[1,2,4,4] y) <float[2,1,1,1] w = {1, 2}, float[2] b = {3, 4}> { y = Conv <pads = "
    "[0,0,0,0]> (x, w, b) }",
    "g (float[2,4] x) => (float[2,2] y) <float[4,2] w = {1,2,3,4,5,6,7,8}> { m = Gemm <alpha = 0.5> (x, w) y = "
    "Softmax(m) }",
    "g (float[2,4] x) => (float[8] y) <int64[1] s = {-1}> { y = Reshape(x, s) }",
    "g (float[2,6] x) => (float[2,3] y) { y, z = Split <axis = 1> (x) }",
    "g (float[2,6] x) => (float y) { c = Constant <value = float[2] {1, 2}> () d = Constant <value_ints = [1, 2]> () y "
    "= ReduceMean(x) }",
    "g (float[2] x) => (float[2] y) <bool c = {1}> { y = If (c) <then_branch = a () => (float[2] p) { p = Relu(x) }, "
    "else_branch = b () => "
    "(float[2] q) { q = Abs(x) }> }",
    "<ir_version: 8, opset_import: [\"\" : 17, \"l\" : 1]> g (float[2] x) => (float[2] y) { t = l.f <s = 0.5> (x) y = "
    "l.f (t) }\n"
    "<domain: \"l\", opset_import: [\"\" : 17]> f <s: float = 0.25> (a) => (b) { b = LeakyRelu <alpha: float = @s> (a) "
    "}",
    "g (uint8[1,4] x, float s, uint8 z) => (uint8[1,4] y) { d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, s, z) "
    "}",
    "g (int64 n) => (float[k] y) { y = HannWindow(n) }",
    "g (float[1,2,4,4] x, float[2] s, float[2] b) => (float[1,2,4,4] y) { y = GroupNormalization <num_groups = 2> (x, "
    "s, b) }",
    "g (float[1,1,4,4] x) => (float[1,1,8,8] y) <float[4] s = {1,1,2,2}> { y = Resize <mode = \"linear\"> (x, , s) }",
    "g (float[2] x, bool c) => (float[2] y) { y = If (c) <then_branch = a () => (float[2] p) { p = Relu(x) }, "
    "else_branch = b () => (float[2] q) { q = Abs(x) }> }",
    "g (float[2] x) => (float[2] y, float[3,2] z) <int64 n = {3}> { y, z = Loop (n, , x) <body = b (int64 i, bool go, "
    "float[2] s) => (bool again, float[2] t, float[2] o) { again = Identity(go) t = Relu(s) o = Neg(t) }> }",
    "g (float[2,1,1] x) => (float[2,1,1,1] y) <float[1,4,1] w = {1,2,3,4}, float[1,4,1] r = {5,6,7,8}, float[1,8] b = "
    "{1,2,3,4,5,6,7,8}> { y = LSTM <hidden_size = 1, activations = [\"Sigmoid\", \"Tanh\", \"Tanh\"]> (x, w, r, b) }",
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_import_corpus FOLDER\n");
    return 2;
  }
  int count = 0;
  for (const char* text : kModels) {
    char name[32];
    std::snprintf(name, sizeof(name), "/model_%02d.onnx", count++);
    std::ofstream file(argv[1] + std::string(name), std::ios::binary);
    precis::onnx_import::ParseModel(text, 18).SerializeToOstream(&file);
  }
  return 0;
}
