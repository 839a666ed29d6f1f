#ifndef PRECIS_ENGINE_TENSOR_NPY_H_
#define PRECIS_ENGINE_TENSOR_NPY_H_

// NumPy's array files: .npy holds one array, .npz several by name (a zip archive of .npy, stored or deflated).
//
// Little-endian bool, integers of 8 to 64 bits and floats of 16 to 64 bits, in C order. bfloat16, which NumPy lacks, is
// not read. Functions are thread-safe. Errors: NotFound when the file cannot be opened, Unimplemented for a type or order
// that is not read, InvalidArgument for everything else that is wrong with the content; messages name the file.

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/tensor/tensor.h"

namespace precis {

absl::StatusOr<Tensor> ReadNpy(const std::string& path);
absl::StatusOr<std::map<std::string, Tensor>> ReadNpz(const std::string& path);

// The same from bytes; messages name no file. Both hold for any bytes: sizes are checked before memory is taken.
absl::StatusOr<Tensor> ParseNpy(std::string_view bytes);
absl::StatusOr<std::map<std::string, Tensor>> ParseNpz(std::string_view bytes);

// The content of a .npy file; bf16 is written as f32. InvalidArgument is never returned: every tensor has a form.
std::string FormatNpy(const TensorView& tensor);
// The content of an uncompressed .npz file.
std::string FormatNpz(const std::map<std::string, TensorView>& tensors);

// Writes `content` to `path`; the file appears whole or not at all, whenever the process or the machine stops, and whoever else writes it. A process
// killed on the way leaves a draft of the name `path`.XXXXXX.part.
absl::Status WriteFileAtomically(const std::string& path, std::string_view content);

}  // namespace precis

#endif  // PRECIS_ENGINE_TENSOR_NPY_H_
