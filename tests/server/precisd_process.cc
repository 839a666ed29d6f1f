#include "tests/server/precisd_process.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "gtest/gtest.h"

namespace precis::server {
namespace {

// The port behind `key` in "precisd listening grpc=0.0.0.0:8001 metrics=0.0.0.0:8002"; 0 when there is none.
int PortOf(const std::string& line, const std::string& key) {
  const size_t at = line.find(key);
  const size_t colon = line.find(':', at);
  return at == std::string::npos || colon == std::string::npos ? 0 : std::atoi(line.c_str() + colon + 1);
}

}  // namespace

std::string IdentityModel() {
  constexpr char kBytes[] =
      "\010\010:"
      "V\012\033\012\006INPUT0\022\007OUTPUT0\042\010Identity\022\010identityZ\025\012\006INPUT0\022\013\012\011"
      "\010\001\022\005\012\003\022\001nb\026\012\007OUTPUT0\022\013\012\011\010\001\022\005\012\003\022\001nB\004\012"
      "\000"
      "\020\021";
  return std::string(kBytes, sizeof(kBytes) - 1);
}

PrecisdProcess::PrecisdProcess(const std::vector<std::string>& flags) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) std::abort();
  std::vector<std::string> arguments = {PRECISD_PATH, "--grpc_address=127.0.0.1", "--grpc_port=0", "--metrics_port=0"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    execv(PRECISD_PATH, pointers.data());
    _exit(127);
  }
  close(pipe_ends[1]);
  output_ = fdopen(pipe_ends[0], "r");
  const std::string line = ReadLine();
  metrics_port_ = PortOf(line, "metrics=");
  EXPECT_NE(metrics_port_, 0) << "precisd says: " << line;
  const auto channel =
      grpc::CreateChannel("127.0.0.1:" + std::to_string(PortOf(line, "grpc=")), grpc::InsecureChannelCredentials());
  inference = inference::GRPCInferenceService::NewStub(channel);
  precision = v1::PrecisionService::NewStub(channel);
  health = grpc::health::v1::Health::NewStub(channel);
}

PrecisdProcess::~PrecisdProcess() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    AwaitEnd();
  }
  fclose(output_);
}

std::string PrecisdProcess::ReadLine() {
  char line[1000] = "";
  return fgets(line, sizeof(line), output_) == nullptr ? "" : line;
}

void PrecisdProcess::Signal(int signal) const { kill(pid_, signal); }

int PrecisdProcess::AwaitEnd() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string PrecisdProcess::Metrics() const {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(metrics_port_));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string text;
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    constexpr char kRequest[] = "GET /metrics HTTP/1.0\r\n\r\n";
    EXPECT_GT(write(connection, kRequest, strlen(kRequest)), 0);
    char buffer[4096];
    for (ssize_t got = 0; (got = read(connection, buffer, sizeof(buffer))) > 0;) text.append(buffer, got);
  }
  close(connection);
  return text;
}

inference::ModelInferRequest IdentityRequest(const std::string& model, const std::vector<float>& values) {
  inference::ModelInferRequest request;
  request.set_model_name(model);
  auto& input = *request.add_inputs();
  input.set_name("INPUT0");
  input.set_datatype("FP32");
  input.add_shape(static_cast<int64_t>(values.size()));
  request.add_raw_input_contents(values.data(), values.size() * sizeof(float));
  return request;
}

std::vector<float> Values(const inference::ModelInferResponse& response) {
  if (response.raw_output_contents_size() != 1) return {};
  const std::string& bytes = response.raw_output_contents(0);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace precis::server
