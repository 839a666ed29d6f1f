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
  app->add_flag("--tls", tls->use_tls, "Speak TLS, trusting the system's certificate authorities");
  app->add_option("--tls-ca", tls->ca_file, "Speak TLS, trusting these (PEM)")
      ->type_name("FILE")
      ->envname("PRECIS_TLS_CA");
  app->add_option("--tls-cert", tls->cert_file, "This client's certificate (PEM)")
      ->type_name("FILE")
      ->envname("PRECIS_TLS_CERT");
  app->add_option("--tls-key", tls->key_file, "Its private key (PEM)")->type_name("FILE")->envname("PRECIS_TLS_KEY");
  app->add_option("--tls-server-name", tls->server_name, "Name that the server's certificate must bear")
      ->type_name("NAME")
      ->envname("PRECIS_TLS_SERVER_NAME");
}

}  // namespace precis::cli
