#ifndef PRECIS_ENGINE_QUANT_CALIBRATION_CACHE_H_
#define PRECIS_ENGINE_QUANT_CALIBRATION_CACHE_H_

// Calibration results on disk, so that a second load of the same network on the same data skips the runs.
//
// A folder of files, one per key, named by it. The key is a SHA-256 over all that a result depends on: the model's file, the optimised network with
// its weights, the samples, and the policy's fields that calibration reads; a change of any of them is another file. What a file holds is checked by a digest of
// its own before a byte of it is believed. Files appear whole or not at all, so a process may be killed at any moment and several may
// share a folder. Nothing is ever removed but drafts of killed processes: the folder's size is the operator's.
//
// File, little-endian: magic "PRECISCT", u32 version, key (32 bytes), u64 length of the content, SHA-256 of the content, content.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ir/graph.h"
#include "engine/quant/calibration_table.h"
#include "engine/quant/policy.h"
#include "engine/quant/quantize.h"

namespace precis::quant {

using CalibrationKey = std::array<uint8_t, 32>;

// Of Calibrate(graph, policy, …, samples), where `graph` was made from the file at `model_path`. Errors: those of the samples; NotFound when the file
// cannot be read.
absl::StatusOr<CalibrationKey> KeyOfCalibration(const std::string& model_path, const ir::Graph& graph,
                                                const Policy& policy, const SampleSource& samples);

// The content of a file and back. Parse holds for any bytes; InvalidArgument says what is wrong: truncated, damaged, another version or key.
std::string FormatCalibration(const CalibrationKey& key, const CalibrationTable& table);
absl::StatusOr<std::shared_ptr<const CalibrationTable>> ParseCalibration(std::string_view bytes,
                                                                         const CalibrationKey& key);

// Path of the key's file.
std::string CalibrationPath(const std::string& folder, const CalibrationKey& key);

// NotFound when there is no such file; InvalidArgument, naming it, when it is not to be trusted.
absl::StatusOr<std::shared_ptr<const CalibrationTable>> ReadCalibration(const std::string& folder,
                                                                        const CalibrationKey& key);
// Makes the folder where it is missing, and removes drafts that killed processes left there. Unavailable when it cannot write.
absl::Status WriteCalibration(const std::string& folder, const CalibrationKey& key, const CalibrationTable& table);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_CALIBRATION_CACHE_H_
