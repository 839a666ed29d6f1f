#ifndef PRECIS_ENGINE_QUANT_EQUALIZE_H_
#define PRECIS_ENGINE_QUANT_EQUALIZE_H_

// Channels ahead of a depthwise convolution. In convolution -> ReLU or Clip(0, c) -> depthwise convolution every channel of the value between goes
// its own way, so dividing channel c by its own largest number m_c (in the first weights and bias) and multiplying by it again (in the
// second weights) changes nothing in f32. At 8 bits it gives each channel all 256 levels, where otherwise channels a hundred times narrower
// than the widest would get two or three; and weights, scaled per output channel in both layers, lose nothing. The upper bound of the Clip
// becomes the saturation of u8. (M. Nagel et al., 2019, section 4.1, for the case where it is free.)

#include "engine/ir/graph.h"
#include "engine/quant/assign.h"
#include "engine/quant/calibration_table.h"

namespace precis::quant {

// The input of integer depthwise convolution `id` that can be equalized with what produces it; kNoValue when there is none. Only
// the default calibration method does so, where both layers' weights have scales per channel: the others are to do what their name says.
ir::ValueId EqualizableInput(const ir::Graph& graph, const Assignment& assignment, ir::NodeId id, const Policy& policy);

// m_c per channel of `value`, from what calibration saw, bounded by the activation that produces it.
std::vector<float> EqualizedMaxima(const ir::Graph& graph, ir::ValueId value, const ValueStatistics& statistics);
// Whether `value`, as ApplyPolicy left it, is one that Equalize has rewritten: its levels cover [0, 1] for every channel.
bool IsEqualized(const ValueStatistics& statistics, const ir::Value& value, int activation_bits);

// Rewrites both convolutions so that every channel of `value` lies in [0, 1]; returns each m_c.
std::vector<float> Equalize(ir::Graph& graph, ir::ValueId value, const ValueStatistics& statistics);

}  // namespace precis::quant

#endif  // PRECIS_ENGINE_QUANT_EQUALIZE_H_
