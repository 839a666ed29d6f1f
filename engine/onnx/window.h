#ifndef PRECIS_ENGINE_ONNX_WINDOW_H_
#define PRECIS_ENGINE_ONNX_WINDOW_H_

#include "engine/ir/op.h"
#include "engine/onnx/node_import.h"

namespace precis::onnx_import {

// kernel_shape, strides, dilations, pads and auto_pad of a convolution or pooling.
ir::Window ReadWindow(NodeImport& node);

// The window and group of Conv and its relatives (ConvInteger, QLinearConv, FusedConv).
ir::Conv ReadConv(NodeImport& node);

}  // namespace precis::onnx_import

#endif  // PRECIS_ENGINE_ONNX_WINDOW_H_
