#ifndef PRECIS_LOADTEST_REQUESTS_H_
#define PRECIS_LOADTEST_REQUESTS_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/preprocessing.h"
#include "client/cli/random_inputs.h"
#include "precis/client.h"

namespace precis::loadtest {

// What is sent to a model.
struct RequestSource {
  std::string data;  // a folder, .npy, .npz or image (client/cli/samples.h); empty: random numbers
  cli::PreprocessingFlags preprocessing;
  cli::ShapesByName shapes;  // of random inputs
  int batch = 1;             // items per request
  int max_requests = 64;     // different ones, in turn; bounds the memory they take
  uint32_t seed = 1;
};

// Serialized inference.ModelInferRequest messages for `model` ("net" or "net@int8"), at least one, all of `batch` items.
// Asks the server for the model's inputs. Errors: the server's; UsageError when the data does not fit them.
absl::StatusOr<std::vector<grpc::ByteBuffer>> MakeRequests(Client& client, const std::string& model,
                                                           const RequestSource& source);

}  // namespace precis::loadtest

#endif  // PRECIS_LOADTEST_REQUESTS_H_
