#include "tests/client/fake_server.h"

#include <grpcpp/health_check_service_interface.h>

namespace precis {
namespace {

grpc::Status Unknown(const std::string& name) {
  return {grpc::StatusCode::NOT_FOUND, "model \"" + name + "\" is unknown"};
}

bool IsNet(const std::string& name) { return name.substr(0, name.find('@')) == "net"; }

void FillVariant(const std::string& name, precis::v1::PrecisionPolicy::Precision precision,
                 precis::v1::VariantStatus* status) {
  status->set_name(name);
  status->set_state(precis::v1::VariantStatus::READY);
  status->mutable_policy()->set_precision(precision);
  (*status->mutable_load_ms())["compile"] = 2.5;
  status->set_weight_bytes(1000);
  status->set_weight_bytes_per_run(900);
  status->set_activation_bytes_per_run(50);
  status->set_threads(1);
  status->set_weight_bytes_moved(9000);
  status->set_activation_bytes_moved(1000);
  status->set_items_run(10);
  status->set_compute_seconds(0.5);
}

}  // namespace

grpc::Status FakeInference::ModelInfer(grpc::ServerContext*, const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* reply) {
  infer_calls.fetch_add(1);
  if (on_infer) return on_infer(*request, reply);
  if (!IsNet(request->model_name())) return Unknown(request->model_name());
  reply->set_model_name(request->model_name());
  reply->set_model_version("1");
  reply->set_id(request->id());
  *reply->mutable_parameters() = request->parameters();
  for (int i = 0; i < request->inputs_size(); ++i) {
    auto* output = reply->add_outputs();
    output->set_name(request->inputs(i).name());
    output->set_datatype(request->inputs(i).datatype());
    *output->mutable_shape() = request->inputs(i).shape();
    reply->add_raw_output_contents(request->raw_input_contents(i));
  }
  return grpc::Status::OK;
}

grpc::Status FakeInference::ServerMetadata(grpc::ServerContext*, const inference::ServerMetadataRequest*,
                                           inference::ServerMetadataResponse* reply) {
  reply->set_name("fake");
  reply->set_version("9");
  reply->add_extensions("statistics");
  return grpc::Status::OK;
}

grpc::Status FakeInference::ModelMetadata(grpc::ServerContext*, const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* reply) {
  if (!IsNet(request->name())) return Unknown(request->name());
  reply->set_name("net");
  reply->add_versions("1");
  reply->set_platform("onnx");
  auto* input = reply->add_inputs();
  input->set_name("x");
  input->set_datatype("FP32");
  for (const int dimension : {-1, 3, 2, 2}) input->add_shape(dimension);
  auto* output = reply->add_outputs();
  output->set_name("y");
  output->set_datatype("FP32");
  output->add_shape(-1);
  return grpc::Status::OK;
}

grpc::Status FakeInference::ModelStatistics(grpc::ServerContext*, const inference::ModelStatisticsRequest*,
                                            inference::ModelStatisticsResponse* reply) {
  auto* statistics = reply->add_model_stats();
  statistics->set_name("net@fp32");
  statistics->set_version("1");
  statistics->set_inference_count(4);
  statistics->set_execution_count(2);
  statistics->mutable_inference_stats()->mutable_success()->set_count(4);
  statistics->mutable_inference_stats()->mutable_success()->set_ns(8'000'000);
  return grpc::Status::OK;
}

grpc::Status FakeInference::RepositoryIndex(grpc::ServerContext*, const inference::RepositoryIndexRequest*,
                                            inference::RepositoryIndexResponse* reply) {
  auto* model = reply->add_models();
  model->set_name("net");
  model->set_version("1");
  model->set_state("READY");
  model = reply->add_models();
  model->set_name("broken");
  model->set_version("1");
  model->set_state("UNAVAILABLE");
  model->set_reason("not an ONNX file");
  return grpc::Status::OK;
}

grpc::Status FakeInference::RepositoryModelUnload(grpc::ServerContext*,
                                                  const inference::RepositoryModelUnloadRequest* request,
                                                  inference::RepositoryModelUnloadResponse*) {
  return IsNet(request->model_name()) ? grpc::Status::OK : Unknown(request->model_name());
}

grpc::Status FakePrecision::LoadVariant(grpc::ServerContext*, const precis::v1::LoadVariantRequest* request,
                                        grpc::ServerWriter<precis::v1::LoadVariantProgress>* writer) {
  last_load = *request;
  if (on_load) return on_load(writer);
  if (!IsNet(request->model())) return Unknown(request->model());
  precis::v1::LoadVariantProgress progress;
  for (const auto phase : {precis::v1::LoadVariantProgress::PARSE, precis::v1::LoadVariantProgress::WARM_UP}) {
    progress.set_phase(phase);
    progress.set_fraction(0.5);
    progress.set_elapsed_ms(progress.elapsed_ms() + 10);
    writer->Write(progress);
  }
  progress.set_phase(precis::v1::LoadVariantProgress::DONE);
  FillVariant(request->variant(), precis::v1::PrecisionPolicy::INT8, progress.mutable_variant());
  writer->Write(progress);
  return grpc::Status::OK;
}

grpc::Status FakePrecision::Calibrate(grpc::ServerContext*, grpc::ServerReader<precis::v1::CalibrateRequest>* reader,
                                      precis::v1::CalibrateResponse* reply) {
  calibration.clear();
  precis::v1::CalibrateRequest message;
  while (static_cast<int>(calibration.size()) <= most_samples && reader->Read(&message)) calibration.push_back(message);
  if (!calibrate_status.ok()) return calibrate_status;
  if (!IsNet(calibration[0].start().model())) return Unknown(calibration[0].start().model());
  reply->set_samples(static_cast<int64_t>(calibration.size()) - 1);
  FillVariant(calibration[0].start().variant(), precis::v1::PrecisionPolicy::INT8, reply->mutable_variant());
  return grpc::Status::OK;
}

grpc::Status FakePrecision::ListVariants(grpc::ServerContext*, const precis::v1::ListVariantsRequest* request,
                                         precis::v1::ListVariantsResponse* reply) {
  if (!request->model().empty() && !IsNet(request->model())) return Unknown(request->model());
  auto* model = reply->add_models();
  model->set_name("net");
  model->set_version("1");
  model->set_default_variant("fp32");
  model->set_peak_bandwidth_bytes_per_second(4e10);
  FillVariant("fp32", precis::v1::PrecisionPolicy::FP32, model->add_variants());
  FillVariant("int8", precis::v1::PrecisionPolicy::INT8, model->add_variants());
  return grpc::Status::OK;
}

namespace {

// One layer; f32 is exact, int8 keeps the budget and is chosen.
void FillSearch(precis::v1::PrecisionSearch* search) {
  search->mutable_budget()->set_min_sqnr_db(25);
  search->mutable_budget()->set_objective(precis::v1::MixedPolicy::LATENCY);
  search->set_coarsest(precis::v1::PrecisionPolicy::INT8);
  search->set_samples(100);
  search->set_budget_met(true);
  auto* layer = search->add_layers();
  layer->set_name("conv<1>");
  layer->set_chosen(precis::v1::PrecisionPolicy::INT8);
  layer->set_sqnr_db(31.5);
  auto* option = layer->add_options();
  option->set_precision(precis::v1::PrecisionPolicy::INT8);
  option->set_time_us(12);
  for (const auto precision : {precis::v1::PrecisionPolicy::FP32, precis::v1::PrecisionPolicy::INT8}) {
    auto* point = search->add_points();
    auto* count = point->add_layers();
    count->set_precision(precision);
    count->set_layers(1);
    point->set_time_us(precision == precis::v1::PrecisionPolicy::INT8 ? 12 : 30);
    point->set_pareto(true);
    point->set_meets_budget(true);
    if (precision == precis::v1::PrecisionPolicy::INT8) {
      point->set_sqnr_db(31.5);
      point->set_chosen(true);
    }
  }
}

}  // namespace

grpc::Status FakePrecision::DescribePlan(grpc::ServerContext*, const precis::v1::DescribePlanRequest* request,
                                         precis::v1::DescribePlanResponse* reply) {
  if (!IsNet(request->model())) return Unknown(request->model());
  reply->set_variant(request->variant().empty() ? "int8" : request->variant());
  if (request->variant() == "mixed") FillSearch(reply->mutable_search());
  auto* layer = reply->add_layers();
  layer->set_name("conv1");
  layer->set_op("Conv");
  layer->set_precision("int8");
  layer->set_implementation("brgconv:avx512_core_vnni");
  layer->set_weight_bytes(1500);
  layer->set_error_sqnr_db(31.5);
  layer->set_time_us(request->repetitions());
  return grpc::Status::OK;
}

FakeServer::FakeServer(const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("localhost:0", credentials, &port);
  builder.RegisterService(&inference);
  builder.RegisterService(&precision);
  server_ = builder.BuildAndStart();
  target_ = "localhost:" + std::to_string(port);
}

FakeServer::~FakeServer() { server_->Shutdown(std::chrono::system_clock::now()); }

void FakeServer::SetServing(bool serving) { server_->GetHealthCheckService()->SetServingStatus(serving); }

}  // namespace precis
