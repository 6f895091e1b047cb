#pragma once
#include <absl/status/statusor.h>

#include <filesystem>
#include <string>

#include "larder/base/unique_fd.h"

// A client of data.sock by hand, as docs/formats/uds.md has it: for what an SDK does in one step.
namespace larder::cache_agent {

// UNAVAILABLE and other errors of the system, as base::ErrnoError.
absl::StatusOr<base::UniqueFd> ConnectRaw(const std::filesystem::path& socket_dir);

struct Greeting {
  std::string token;  // 16 bytes
  std::string ns;
};
// Says HELLO and waits for the answer: the greeting, or the error it carries, or UNAVAILABLE (CONNECTION_LOST).
absl::StatusOr<Greeting> SayHello(int fd, const std::string& ns);

}  // namespace larder::cache_agent
