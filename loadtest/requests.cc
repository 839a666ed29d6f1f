#include "loadtest/requests.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/exit_code.h"
#include "client/cli/samples.h"
#include "client/wire.h"
#include "engine/base/status_macros.h"
#include "inference/grpc_service.pb.h"

namespace precis::loadtest {
namespace {

using Inputs = std::vector<client::Tensor>;

constexpr int kRandomRequests = 8;  // enough that nothing answers from what it has just seen

absl::StatusOr<grpc::ByteBuffer> Serialize(const std::string& model, Inputs inputs) {
  client::InferRequest request;
  request.model = model;
  request.inputs = std::move(inputs);
  const std::string bytes = client::ToMessage(request).SerializeAsString();
  if (bytes.empty()) return cli::UsageError("a request is beyond 2 GB, the most that gRPC carries");
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// One request of several: equal inputs joined along the first dimension.
absl::StatusOr<Inputs> Join(std::vector<Inputs> items) {
  Inputs joined = std::move(items[0]);
  for (size_t item = 1; item < items.size(); ++item) {
    for (size_t i = 0; i < joined.size(); ++i) {
      client::Tensor& tensor = joined[i];
      const client::Tensor& next = items[item][i];
      if (tensor.shape.empty() ||
          !std::equal(tensor.shape.begin() + 1, tensor.shape.end(), next.shape.begin() + 1, next.shape.end())) {
        return cli::UsageError(
            absl::StrCat("input \"", tensor.name, "\" differs in shape between items: no batches of it"));
      }
      tensor.shape[0] += next.shape[0];
      tensor.data += next.data;
    }
  }
  return joined;
}

absl::StatusOr<std::vector<Inputs>> RandomRequests(const client::ModelMetadata& metadata, const RequestSource& source) {
  cli::ShapesByName shapes = source.shapes;
  for (const client::TensorMetadata& input : metadata.inputs) {
    if (shapes.contains(input.name) || source.batch == 1) continue;
    if (input.shape.empty() || input.shape[0] >= 0) {
      return cli::UsageError(absl::StrCat("--batch: the first dimension of input \"", input.name, "\" is fixed"));
    }
    std::vector<int64_t>& shape = shapes[input.name] = input.shape;
    for (int64_t& dimension : shape) dimension = dimension < 0 ? 1 : dimension;
    shape[0] = source.batch;
  }
  std::vector<Inputs> requests;
  for (int i = 0; i < std::min(kRandomRequests, source.max_requests); ++i) {
    PRECIS_ASSIGN_OR_RETURN(Inputs inputs, cli::RandomInputs(metadata, shapes, source.seed + i));
    requests.push_back(std::move(inputs));
  }
  return requests;
}

// The server's own word on how images become inputs; nothing from a server that is not Precis.
std::optional<client::Preprocessing> PreprocessingOf(Client& client, const std::string& model) {
  const auto models = client.ListVariants(model.substr(0, model.rfind('@')));
  return models.ok() && !models->empty() ? models->back().preprocessing : std::nullopt;
}

absl::StatusOr<std::vector<Inputs>> SampledRequests(Client& client, const client::ModelMetadata& metadata,
                                                    const std::string& model, const RequestSource& source) {
  PRECIS_ASSIGN_OR_RETURN(
      const std::unique_ptr<cli::SampleSet> samples,
      cli::OpenSamples(source.data, metadata, source.preprocessing, PreprocessingOf(client, model)));
  const int64_t count = std::min<int64_t>(source.max_requests, samples->size() / source.batch);
  if (count == 0) {
    return cli::UsageError(
        absl::StrCat(source.data, " holds ", samples->size(), " samples, fewer than a batch of ", source.batch));
  }
  std::vector<Inputs> requests;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<Inputs> items;
    for (int64_t row = i * source.batch; row < (i + 1) * source.batch; ++row) {
      PRECIS_ASSIGN_OR_RETURN(cli::Sample sample, samples->Get(row));
      items.push_back(std::move(sample.inputs));
    }
    PRECIS_ASSIGN_OR_RETURN(Inputs joined, Join(std::move(items)));
    requests.push_back(std::move(joined));
  }
  return requests;
}

}  // namespace

absl::StatusOr<std::vector<grpc::ByteBuffer>> MakeRequests(Client& client, const std::string& model,
                                                           const RequestSource& source) {
  const absl::StatusOr<client::ModelMetadata> metadata = client.ModelMetadata(model);
  if (!metadata.ok()) return metadata.status();
  PRECIS_ASSIGN_OR_RETURN(std::vector<Inputs> requests, source.data.empty()
                                                            ? RandomRequests(*metadata, source)
                                                            : SampledRequests(client, *metadata, model, source));
  std::vector<grpc::ByteBuffer> serialized;
  for (Inputs& inputs : requests) {
    PRECIS_ASSIGN_OR_RETURN(grpc::ByteBuffer bytes, Serialize(model, std::move(inputs)));
    serialized.push_back(std::move(bytes));
  }
  return serialized;
}

}  // namespace precis::loadtest
