#ifndef PRECIS_TESTS_SERVER_FASHION_IMAGES_H_
#define PRECIS_TESTS_SERVER_FASHION_IMAGES_H_

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "inference/grpc_service.pb.h"

namespace precis::server {

inline constexpr char kFashionFile[] = "demo/repository/fashion/calibration/image.npy";
inline constexpr size_t kFashionHeaderBytes = 128;

// The first `most` images that the demo's network has for calibration: the bytes of f32 [28, 28].
inline std::vector<std::string> FashionImages(size_t most) {
  constexpr size_t kImageBytes = 28 * 28 * sizeof(float);
  std::ifstream file(kFashionFile, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> images;
  for (size_t at = kFashionHeaderBytes; at + kImageBytes <= bytes.size() && images.size() < most; at += kImageBytes)
    images.push_back(bytes.substr(at, kImageBytes));
  return images;
}

// One of them as the network's input; names no model.
inline inference::ModelInferRequest FashionRequest(const std::string& pixels) {
  inference::ModelInferRequest request;
  auto& input = *request.add_inputs();
  input.set_name("image");
  input.set_datatype("FP32");
  for (const int64_t dimension : {1, 1, 28, 28}) input.add_shape(dimension);
  request.add_raw_input_contents(pixels);
  return request;
}

}  // namespace precis::server

#endif  // PRECIS_TESTS_SERVER_FASHION_IMAGES_H_
