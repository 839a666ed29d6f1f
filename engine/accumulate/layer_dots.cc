// An output's dot product is gathered term by term: slow, but these are hundreds of products, not a layer's millions.
#include "engine/accumulate/layer_dots.h"

#include "absl/strings/str_cat.h"
#include "engine/accumulate/terms.h"

namespace precis::accumulate {

absl::Status AddLayerDots(const ir::Graph& graph, ir::NodeId id, const TensorView& src, const TensorView& weights,
                          int64_t count, std::mt19937& random, Dots& dots) {
  const ir::Node& node = graph.node(id);
  const int64_t outputs = NumElements(graph.value(node.outputs[0]).shape);
  if (outputs == 0) return absl::OkStatus();
  const std::optional<Terms> found = TermsOf(graph, id);
  if (!found) {
    return absl::UnimplementedError(absl::StrCat("node \"", node.name, "\": dot products of ", ir::OpName(node.op),
                                                 " over ", ShapeToString(src.shape)));
  }
  return std::visit(
      [&](const auto& terms) {
        if (dots.count > 0 && dots.k != terms.k()) {
          return absl::InternalError(absl::StrCat("dot products of ", terms.k(), " terms among ones of ", dots.k));
        }
        dots.k = terms.k();
        const auto a = src.As<float>(), b = weights.As<float>();
        std::uniform_int_distribution<int64_t> draw(0, outputs - 1);
        for (int64_t i = 0; i < count; ++i, ++dots.count) {
          const int64_t output = draw(random), column = output % terms.columns();
          const int64_t row = output / terms.columns() % terms.rows();
          const int64_t family = output / (terms.columns() * terms.rows());
          const size_t first = dots.a.size();
          dots.a.resize(first + static_cast<size_t>(dots.k));
          dots.b.resize(first + static_cast<size_t>(dots.k));
          terms.Source(family, row, [&](int64_t j, int64_t element) {
            dots.a[first + static_cast<size_t>(j)] = element < 0 ? 0.0f : a[static_cast<size_t>(element)];
          });
          terms.Weights(family, column, [&](int64_t j, int64_t element) {
            dots.b[first + static_cast<size_t>(j)] = b[static_cast<size_t>(element)];
          });
        }
        return absl::OkStatus();
      },
      *found);
}

}  // namespace precis::accumulate
