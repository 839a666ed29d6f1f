// Einsum ("bhid,bhjd->bhij"): the product of all operands over all labels, summed over the labels that the output does not have.
// A contraction of two operands over at most one label of each kind is one MatMul; everything else is spelled out as a broadcast
// product and a sum. Ellipses and labels repeated within an operand are unsupported.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/onnx/operators.h"
#include "engine/onnx/quoting.h"

namespace precis::onnx_import {
namespace {

using ir::ValueId;

bool Contains(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

// Labels of `from` that are in `in` (or are not, for `wanted` false), in order.
std::string Filter(const std::string& from, const std::string& in, bool wanted = true) {
  std::string kept;
  std::copy_if(from.begin(), from.end(), std::back_inserter(kept), [&](char c) { return Contains(in, c) == wanted; });
  return kept;
}

struct Equation {
  std::vector<std::string> operands;
  std::string output;
};

// Without "->" the output has the labels that occur once, in alphabetical order.
std::string ImplicitOutput(const std::vector<std::string>& operands) {
  std::string all;
  for (const std::string& labels : operands) all += labels;
  std::sort(all.begin(), all.end());
  std::string once;
  for (char c : all) {
    if (std::count(all.begin(), all.end(), c) == 1) once += c;
  }
  return once;
}

std::optional<Equation> ParseEquation(NodeImport& node) {
  std::string text = node.attributes().String("equation", "");
  std::erase(text, ' ');
  const std::vector<std::string> sides = absl::StrSplit(text, "->");
  Equation equation{absl::StrSplit(sides[0], ','), ""};
  equation.output = sides.size() > 1 ? sides[1] : ImplicitOutput(equation.operands);
  std::string known;
  std::vector<std::string> terms = equation.operands;
  terms.push_back(equation.output);
  for (const std::string& labels : terms) {
    for (char c : labels) {
      if (!absl::ascii_isalpha(static_cast<unsigned char>(c)) || std::count(labels.begin(), labels.end(), c) > 1) {
        node.Unsupported(absl::StrCat("equation ", Quoted(text)));
        return std::nullopt;
      }
    }
    if (&labels != &terms.back()) known += labels;
  }
  if (sides.size() > 2 || equation.operands.size() != node.num_inputs() ||
      !Filter(equation.output, known, false).empty()) {
    node.Fail(absl::StrCat("equation ", Quoted(text), " does not fit ", node.num_inputs(), " inputs"));
    return std::nullopt;
  }
  return equation;
}

// One operand or intermediate result.
struct Term {
  ValueId value;
  std::string labels;
};

// Sums away the labels that `keep` does not have.
Term Sum(NodeImport& node, const std::string& name, const Term& term, const std::string& keep) {
  ir::Ints axes;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (!Contains(keep, term.labels[i])) axes.push_back(static_cast<int64_t>(i));
  }
  if (axes.empty()) return term;
  const ir::Reduce sum{.kind = ir::ReduceKind::kSum, .keep_dims = false};
  return {node.Add(name, sum, {term.value, node.Int64s(name + "_axes", axes)}), Filter(term.labels, keep)};
}

// Brings the dimensions into the order of `labels`, adding those of size 1 that are missing.
Term Align(NodeImport& node, const std::string& name, const Term& term, const std::string& labels) {
  const std::string present = Filter(labels, term.labels);
  ValueId value = term.value;
  if (present != term.labels) {
    ir::Transpose transpose;
    for (char c : present) transpose.perm.push_back(static_cast<int64_t>(term.labels.find(c)));
    value = node.Add(name + "_order", std::move(transpose), {value});
  }
  ir::Ints added;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!Contains(present, labels[i])) added.push_back(static_cast<int64_t>(i));
  }
  if (!added.empty()) value = node.Add(name + "_dims", ir::Unsqueeze{}, {value, node.Int64s(name + "_new", added)});
  return {value, labels};
}

// a […,m,k] times b […,k,n], where each of m, n, k is one label or none (then a dimension of 1, dropped again).
std::optional<Term> Contract(NodeImport& node, const Term& a, const Term& b, const std::string& output) {
  const std::string batch = Filter(Filter(a.labels, b.labels), output);
  std::string k = Filter(Filter(a.labels, b.labels), output, false);
  std::string m = Filter(a.labels, b.labels, false);
  std::string n = Filter(b.labels, a.labels, false);
  if (k.size() != 1 || m.size() > 1 || n.size() > 1) return std::nullopt;
  std::string result = batch + m + n;
  if (m.empty()) m = "\1";  // labels that no equation has
  if (n.empty()) n = "\2";
  const ValueId left = Align(node, "a", a, batch + m + k).value;
  const ValueId right = Align(node, "b", b, batch + k + n).value;
  ValueId product = node.Add("product", ir::MatMul{}, {left, right});
  ir::Ints unit;
  if (m == "\1") unit.push_back(-2);
  if (n == "\2") unit.push_back(-1);
  if (!unit.empty()) product = node.Add("squeezed", ir::Squeeze{}, {product, node.Int64s("unit", unit)});
  return Term{product, std::move(result)};
}

// a * b over the union of their labels.
Term Multiply(NodeImport& node, const std::string& step, const Term& a, const Term& b) {
  const std::string all = a.labels + Filter(b.labels, a.labels, false);
  const ValueId left = Align(node, "a" + step, a, all).value;
  const ValueId right = Align(node, "b" + step, b, all).value;
  return {node.Add("product" + step, ir::Binary{ir::BinaryKind::kMul}, {left, right}), all};
}

void ImportEinsum(NodeImport& node) {
  const std::optional<Equation> equation = ParseEquation(node);
  if (!equation.has_value()) return;
  std::vector<Term> terms;
  for (size_t i = 0; i < equation->operands.size(); ++i) terms.push_back({node.Input(i), equation->operands[i]});
  Term result = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    std::string later = equation->output;  // labels that are still needed after this step
    for (size_t j = i + 1; j < terms.size(); ++j) later += terms[j].labels;
    const std::string step = absl::StrCat(i);
    const Term left = Sum(node, "sum_a" + step, result, later + terms[i].labels);
    const Term right = Sum(node, "sum_b" + step, terms[i], later + left.labels);
    const std::optional<Term> contracted = terms.size() == 2 ? Contract(node, left, right, later) : std::nullopt;
    result = contracted.has_value() ? *contracted : Sum(node, "sum" + step, Multiply(node, step, left, right), later);
  }
  result = Align(node, "result", Sum(node, "sum", result, equation->output), equation->output);
  node.Emit(ir::Identity{}, {result.value});
}

}  // namespace

void AddEinsum(OperatorTable& table) { table["Einsum"] = ImportEinsum; }

}  // namespace precis::onnx_import
