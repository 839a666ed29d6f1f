#include "client/cli/command.h"

namespace precis::cli {

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakeModelsCommand());
  commands.push_back(MakeLoadCommand());
  commands.push_back(MakeCalibrateCommand());
  commands.push_back(MakeUnloadCommand());
  commands.push_back(MakeInferCommand());
  commands.push_back(MakeCompareCommand());
  commands.push_back(MakePlanCommand());
  commands.push_back(MakeSwampCommand());
  commands.push_back(MakeTrafficCommand());
  commands.push_back(MakeDriftCommand());
  commands.push_back(MakeStatsCommand());
  commands.push_back(MakeHealthCommand());
  commands.push_back(MakeVersionCommand());
  return commands;
}

void ShowLine(const Session& session, const std::string& line) {
  if (session.progress_is_terminal) *session.progress << "\r\x1b[K" << line << std::flush;
}

ModelName SplitModelName(const std::string& name) {
  const size_t at = name.rfind('@');
  if (at == std::string::npos) return {name, ""};
  return {name.substr(0, at), name.substr(at + 1)};
}

}  // namespace precis::cli
