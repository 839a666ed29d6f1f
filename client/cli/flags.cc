#include "client/cli/flags.h"

namespace precis::cli {

CLI::Validator IsDuration() {
  return {[](const std::string& text) -> std::string {
            absl::Duration duration;
            const bool good = absl::ParseDuration(text, &duration) && duration > absl::ZeroDuration();
            return good ? "" : "\"" + text + "\" is no duration such as 500ms, 30s or 10m";
          },
          ""};
}

CLI::Option* AddDurationFlag(CLI::App* app, const std::string& name, absl::Duration* duration,
                             const std::string& help) {
  return app
      ->add_option_function<std::string>(
          name, [duration](const std::string& text) { absl::ParseDuration(text, duration); }, help)
      ->check(IsDuration())
      ->type_name("DURATION")
      ->default_str(absl::FormatDuration(*duration));
}

void AddTlsFlags(CLI::App* app, client::TlsOptions* tls) {
  // A group of their own in the help, but no option group: CLI11 reads the environment for one only once a flag of it was given.
  const auto add = [app](const std::string& name, std::string& file, const std::string& help, const char* variable) {
    return app->add_option(name, file, help)->type_name("FILE")->envname(variable)->group("TLS");
  };
  app->add_flag("--tls", tls->use_tls, "Speak TLS, trusting the system's certificate authorities")->group("TLS");
  add("--tls-ca", tls->ca_file, "Speak TLS, trusting these (PEM)", "PRECIS_TLS_CA");
  add("--tls-cert", tls->cert_file, "This client's certificate (PEM)", "PRECIS_TLS_CERT");
  add("--tls-key", tls->key_file, "Its private key (PEM)", "PRECIS_TLS_KEY");
  add("--tls-server-name", tls->server_name, "Name that the server's certificate must bear", "PRECIS_TLS_SERVER_NAME")
      ->type_name("NAME");
}

}  // namespace precis::cli
