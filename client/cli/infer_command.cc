// precis infer: one request from a file or from random numbers.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/command.h"
#include "client/cli/random_inputs.h"
#include "client/cli/samples.h"
#include "client/cli/table.h"
#include "engine/base/status_macros.h"
#include "engine/tensor/npy.h"

namespace precis::cli {
namespace {

constexpr int64_t kMaxShownValues = 100000;  // more would make a line that nobody reads; --save has them all
constexpr size_t kPreviewValues = 8;

class InferCommand final : public Command {
 public:
  CLI::App* Register(CLI::App* app) override {
    CLI::App* command = app->add_subcommand("infer", "Send one request and show the outputs");
    command->add_option("MODEL", model_, "net or net@VARIANT")->required();
    command->add_option("FILE", file_,
                        "An image (.jpg .png) or .npy for a model of one input, or .npz with the inputs' names");
    command->add_option("--input", inputs_, "The file of one input; may be repeated")
        ->type_name("NAME=FILE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->add_flag("--random", random_, "Fill the inputs with random numbers: floats in [0,1), integers 0 or 1");
    command->add_option("--seed", seed_, "Where the random numbers begin");
    command->add_option("--shape", shapes_, "Shape of a random input; sizes that the model leaves open are 1 otherwise")
        ->type_name("NAME=1,3,224,224")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->add_option("--output", outputs_, "Ask for this output only; may be repeated")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->add_option("--save", save_, "Write the outputs to this .npz, or .npy when there is one")
        ->type_name("FILE");
    command->add_option("--top", top_, "How many of the largest values to show")->check(CLI::Range(1, 1000));
    flags_.Register(command);
    command->footer(
        "Arrays go as they are; a missing batch dimension is put in front. Images are preprocessed as the flags or "
        "the\n"
        "model's precision.textproto say.\n\n"
        "Examples:\n"
        "  precis infer mobilenet_v2@int8 cat.jpg --resize=256 --crop=224 --mean=.485,.456,.406 --std=.229,.224,.225\n"
        "  precis infer minilm --input input_ids=ids.npy --input attention_mask=mask.npy --save=embedding.npy\n"
        "  precis infer resnet50 --random --json");
    return command;
  }

  absl::StatusOr<Json> Run(Session& session) override {
    absl::StatusOr<client::ModelMetadata> metadata = session.client->ModelMetadata(model_);
    if (!metadata.ok()) return metadata.status();
    client::InferRequest request{
        .model = model_, .version = "", .id = "", .inputs = {}, .outputs = outputs_, .parameters = {}};
    PRECIS_ASSIGN_OR_RETURN(request.inputs, Inputs(session, *metadata));
    const absl::Time start = absl::Now();
    absl::StatusOr<client::InferResponse> response = session.client->Infer(request);
    const double latency_ms = absl::ToDoubleMilliseconds(absl::Now() - start);
    if (!response.ok()) return response.status();
    if (!save_.empty()) PRECIS_RETURN_IF_ERROR(Save(*response));
    Json outputs = Json::array();
    for (const client::Tensor& output : response->outputs) {
      PRECIS_ASSIGN_OR_RETURN(Json shown, OutputJson(output));
      outputs.push_back(std::move(shown));
    }
    Json parameters = Json::object();
    for (const auto& [name, value] : response->parameters) {
      std::visit([&, &key = name](const auto& v) { parameters[key] = v; }, value);
    }
    return Json{{"model", response->model},
                {"version", response->version},
                {"latency_ms", latency_ms},
                {"parameters", parameters},
                {"outputs", outputs}};
  }

  void Print(const Json& result, std::ostream& out) const override {
    out << result["model"].get<std::string>() << "  version " << result["version"].get<std::string>() << "  "
        << FormatNumber(result["latency_ms"].get<double>(), 2) << " ms\n";
    for (const Json& output : result["outputs"]) {
      const Shape shape = output["shape"].get<Shape>();
      out << "\n"
          << output["name"].get<std::string>() << "  " << output["datatype"].get<std::string>() << " "
          << ShapeToString(shape) << "\n";
      if (output.contains("top")) {
        Table table({">INDEX", ">VALUE"});
        for (const Json& entry : output["top"]) {
          table.AddRow({std::to_string(entry["index"].get<int64_t>()), FormatNumber(entry["value"].get<double>(), 5)});
        }
        table.Print(out);
      } else if (output.contains("data")) {
        const Json& data = output["data"];
        for (size_t i = 0; i < std::min(data.size(), kPreviewValues); ++i) out << data[i] << " ";
        out << (data.size() > kPreviewValues ? "…\n" : "\n");
      }
    }
    if (!save_.empty()) out << "\nwritten to " << save_ << "\n";
  }

 private:
  absl::StatusOr<std::vector<client::Tensor>> Inputs(Session& session, const client::ModelMetadata& metadata) const {
    const int ways = (random_ ? 1 : 0) + (file_.empty() ? 0 : 1) + (inputs_.empty() ? 0 : 1);
    if (ways != 1) return UsageError("give either FILE, or --input NAME=FILE for each input, or --random");
    if (random_) {
      PRECIS_ASSIGN_OR_RETURN(const auto shapes, ParseShapes(shapes_));
      return RandomInputs(metadata, shapes, seed_);
    }
    if (file_.ends_with(".npz")) return ArchiveInputs();
    std::vector<client::Tensor> tensors;
    if (!file_.empty()) {
      PRECIS_ASSIGN_OR_RETURN(client::Tensor tensor, FileInput(session, metadata, "", file_));
      tensors.push_back(std::move(tensor));
    }
    for (const std::string& flag : inputs_) {
      const size_t equals = flag.find('=');
      if (equals == std::string::npos) return UsageError(absl::StrCat("--input ", flag, ": want NAME=FILE"));
      PRECIS_ASSIGN_OR_RETURN(client::Tensor tensor,
                              FileInput(session, metadata, flag.substr(0, equals), flag.substr(equals + 1)));
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }

  absl::StatusOr<std::vector<client::Tensor>> ArchiveInputs() const {
    auto arrays = ReadNpz(file_);
    if (!arrays.ok()) return UsageError(std::string(arrays.status().message()));
    std::vector<client::Tensor> tensors;
    for (const auto& [name, tensor] : *arrays) tensors.push_back(ToWire(name, tensor.view(), tensor.shape()));
    return tensors;
  }

  // The tensor of one file for the input of that name, "" being the only one.
  absl::StatusOr<client::Tensor> FileInput(Session& session, const client::ModelMetadata& metadata,
                                           const std::string& name, const std::string& path) const {
    if (IsImageName(path)) return ImageFileInput(session, metadata, name, path);
    absl::StatusOr<Tensor> tensor = ReadNpy(path);
    if (!tensor.ok()) return UsageError(std::string(tensor.status().message()));
    client::Preprocessing named;
    named.input = name;
    PRECIS_ASSIGN_OR_RETURN(const client::TensorMetadata input, ImageInput(metadata, named));
    Shape shape = tensor->shape();
    if (shape.size() + 1 == input.shape.size()) shape.insert(shape.begin(), 1);
    return ToWire(input.name, tensor->view(), std::move(shape));
  }

  absl::StatusOr<client::Tensor> ImageFileInput(Session& session, const client::ModelMetadata& metadata,
                                                const std::string& name, const std::string& path) const {
    absl::StatusOr<Image> image = ReadImage(path);
    if (!image.ok()) return UsageError(std::string(image.status().message()));
    absl::StatusOr<std::vector<client::ModelVariants>> models =
        session.client->ListVariants(SplitModelName(model_).model);
    std::optional<client::Preprocessing> of_model;
    if (models.ok() && !models->empty()) of_model = models->back().preprocessing;
    PRECIS_ASSIGN_OR_RETURN(std::optional<client::Preprocessing> preprocessing, flags_.Merge(of_model));
    if (!preprocessing) return PreprocessingIsMissing(SplitModelName(model_).model);
    if (!name.empty()) preprocessing->input = name;
    PRECIS_ASSIGN_OR_RETURN(const client::TensorMetadata input, ImageInput(metadata, *preprocessing));
    PRECIS_ASSIGN_OR_RETURN(const Image fitted, flags_.Fit(*image));
    return MakeImageInput(ViewOf(fitted), *preprocessing, input);
  }

  absl::Status Save(const client::InferResponse& response) const {
    std::map<std::string, TensorView> tensors;
    for (const client::Tensor& output : response.outputs) {
      const std::optional<DataType> type = DataTypeFromKServeName(output.datatype);
      if (!type) return absl::UnimplementedError(absl::StrCat("output \"", output.name, "\" is ", output.datatype));
      tensors[output.name] = {*type, output.shape, output.data.data()};
    }
    const bool single = save_.ends_with(".npy");
    if (single && tensors.size() != 1) {
      return UsageError(
          absl::StrCat("--save ", save_, ": there are ", tensors.size(), " outputs, want a .npz or one --output"));
    }
    const absl::Status status =
        WriteFileAtomically(save_, single ? FormatNpy(tensors.begin()->second) : FormatNpz(tensors));
    return status.ok() ? status : UsageError(std::string(status.message()));
  }

  // An output with its values, and the largest of them when it is one vector.
  absl::StatusOr<Json> OutputJson(const client::Tensor& output) const {
    Json json = {{"name", output.name}, {"datatype", output.datatype}, {"shape", output.shape}};
    const std::optional<DataType> type = DataTypeFromKServeName(output.datatype);
    if (!type || output.data.size() != static_cast<size_t>(output.NumElements()) * SizeOf(*type)) {
      return absl::InternalError(absl::StrCat("output \"", output.name, "\" has ", output.data.size(), " bytes"));
    }
    if (output.NumElements() > kMaxShownValues) return json;
    const TensorView view{*type, output.shape, output.data.data()};
    const std::vector<float> values = ToFloat(view);
    const bool is_vector =
        std::count_if(output.shape.begin(), output.shape.end(), [](int64_t d) { return d > 1; }) == 1;
    if (is_vector) {
      std::vector<int64_t> order(values.size());
      std::iota(order.begin(), order.end(), 0);
      const size_t count = std::min<size_t>(top_, order.size());
      std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(count), order.end(),
                        [&](int64_t a, int64_t b) { return values[a] > values[b]; });
      json["top"] = Json::array();
      for (size_t i = 0; i < count; ++i) json["top"].push_back({{"index", order[i]}, {"value", values[order[i]]}});
    }
    json["data"] = IsFloat(*type) ? Json(values) : Json(ToInt64(view));
    return json;
  }

  std::string model_, file_, save_;
  std::vector<std::string> inputs_, shapes_, outputs_;
  bool random_ = false;
  uint32_t seed_ = 1;
  int top_ = 5;
  PreprocessingFlags flags_;
};

}  // namespace

std::unique_ptr<Command> MakeInferCommand() { return std::make_unique<InferCommand>(); }

}  // namespace precis::cli
