// outside HOST:PORT: asks the model "classifier" for its answer to a picture of zeros and prints it, one number a line.

#include <iostream>

#include "precis/client.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto client =
      precis::Client::Connect({.target = argv[1], .deadline = absl::Seconds(60), .retry = {}, .tls = {}});
  if (!client.ok()) return 2;
  precis::client::InferRequest request;
  request.model = "classifier@fp32";
  request.inputs = {precis::client::Tensor::Of<float>("image", {1, 3, 8, 8}, std::vector<float>(192))};
  const auto response = (*client)->Infer(request);
  if (!response.ok()) {
    std::cerr << response.status() << "\n";
    return 1;
  }
  for (const float value : response->Output("logits")->Values<float>()) std::cout << value << "\n";
  request.model = "nobody";
  return absl::IsNotFound((*client)->Infer(request).status()) ? 0 : 1;
}
