// SPDX-License-Identifier: Apache-2.0
// Where Google's credentials come from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "kvbackup/base/result.hpp"
#include "kvbackup/base/status.hpp"
#include "kvbackup/net/environment.hpp"
#include "kvbackup/net/json_fields.hpp"
#include "kvbackup/net/url.hpp"

namespace kvbackup::inline v1 {

enum class GoogleCredentialKind : std::uint8_t {
  anonymous,        ///< none: requests go without a token
  service_account,  ///< a key file: the private key signs for a token
  authorized_user,  ///< what `gcloud auth application-default login` leaves: a refresh token
  metadata_server,  ///< the machine's own account, asked of its host
};

/// Which members are set depends on the kind. All but token_uri and metadata_host are secrets.
struct GoogleCredentials {
  GoogleCredentialKind kind = GoogleCredentialKind::anonymous;
  std::string token_uri;       ///< service_account, authorized_user: where tokens are given
  std::string client_email;    ///< service_account
  std::string private_key;     ///< service_account: PEM
  std::string private_key_id;  ///< service_account; may be empty
  std::string client_id;       ///< authorized_user
  std::string client_secret;   ///< authorized_user
  std::string refresh_token;   ///< authorized_user
  std::string metadata_host;   ///< metadata_server: host and port
};

/// Reads a key file. `from` names it in errors, which show nothing of what stands in it but its
/// type. Errors: invalid_argument for a file that is not complete; unsupported for kinds other than
/// service_account and authorized_user.
[[nodiscard]] inline Result<GoogleCredentials> parse_google_credentials(std::string_view json,
                                                                        std::string_view from) {
  const auto refuse = [from](StatusCode code, std::string_view why) {
    std::string message = "the Google credentials of ";
    message += from;
    message += " cannot be used: ";
    message += why;
    return Status::error(code, std::move(message));
  };
  GoogleCredentials found;
  found.token_uri = "https://oauth2.googleapis.com/token";
  std::string type;
  const std::pair<std::string_view, std::string*> members[] = {
      {"type", &type},
      {"token_uri", &found.token_uri},
      {"client_email", &found.client_email},
      {"private_key", &found.private_key},
      {"private_key_id", &found.private_key_id},
      {"client_id", &found.client_id},
      {"client_secret", &found.client_secret},
      {"refresh_token", &found.refresh_token},
  };
  const Status status = scan_json(json, [&](std::string_view path, std::string_view value) {
    for (const auto& [name, member] : members) {
      if (name == path) *member = value;
    }
    return Status();
  });
  if (!status.ok()) return refuse(StatusCode::invalid_argument, "they are no JSON");
  if (!parse_url(found.token_uri).ok()) {
    return refuse(StatusCode::invalid_argument, "token_uri is no http or https URL");
  }
  const char* missing = nullptr;
  if (type == "service_account") {
    found.kind = GoogleCredentialKind::service_account;
    if (found.client_email.empty()) missing = "client_email is missing";
    if (found.private_key.empty()) missing = "private_key is missing";
  } else if (type == "authorized_user") {
    found.kind = GoogleCredentialKind::authorized_user;
    if (found.client_id.empty()) missing = "client_id is missing";
    if (found.client_secret.empty()) missing = "client_secret is missing";
    if (found.refresh_token.empty()) missing = "refresh_token is missing";
  } else {
    return refuse(StatusCode::unsupported,
                  type.empty() ? "they have no type; give the key file of a service account"
                               : "only the types service_account and authorized_user are known");
  }
  if (missing != nullptr) return refuse(StatusCode::invalid_argument, missing);
  return found;
}

namespace detail {
[[nodiscard]] inline Result<GoogleCredentials> google_credentials_of_file(Environment& environment,
                                                                          const std::string& path) {
  auto text = environment.file(path);
  if (!text.ok()) return std::move(text).status();
  std::string from = "the file ";
  from += path;
  return parse_google_credentials(text.value(), from);
}
}  // namespace detail

/// The first of: `blob`, which is the content of a key file; the file that
/// GOOGLE_APPLICATION_CREDENTIALS names; the file that gcloud leaves in CLOUDSDK_CONFIG or
/// ~/.config/gcloud; the metadata server at GCE_METADATA_HOST or its usual address, without asking
/// whether there is one. Errors: as parse_google_credentials, and those of a named file.
[[nodiscard]] inline Result<GoogleCredentials> find_google_credentials(std::string_view blob,
                                                                       Environment& environment) {
  if (!blob.empty()) return parse_google_credentials(blob, "the option credentials_blob");
  if (const auto path = environment.variable("GOOGLE_APPLICATION_CREDENTIALS")) {
    auto found = detail::google_credentials_of_file(environment, *path);
    if (found.status().code() != StatusCode::not_found) return found;
    return Status::error(StatusCode::not_found,
                         "there is no file where GOOGLE_APPLICATION_CREDENTIALS points")
        .with_object(*path);
  }
  std::string folder;
  if (const auto config = environment.variable("CLOUDSDK_CONFIG")) {
    folder = *config;
  } else if (const auto home = environment.variable("HOME")) {
    folder = *home + "/.config/gcloud";
  }
  if (!folder.empty()) {
    auto found = detail::google_credentials_of_file(
        environment, folder + "/application_default_credentials.json");
    if (found.status().code() != StatusCode::not_found) return found;
  }
  GoogleCredentials machine;
  machine.kind = GoogleCredentialKind::metadata_server;
  // the link-local address spares a look-up that would take long outside of Google's cloud
  machine.metadata_host = environment.variable("GCE_METADATA_HOST").value_or("169.254.169.254");
  return machine;
}

}  // namespace kvbackup::inline v1
