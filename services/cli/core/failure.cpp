#include "core/failure.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "larder/base/error_table.h"
#include "larder/base/status.h"

namespace larder::cli {
namespace {

struct Hint {
  std::string_view reason;
  std::string_view what_to_do;
};
// For errors whose message, made far from any user, does not say what to do.
constexpr std::array<Hint, 8> kHints = {{
    {"NO_OBJECT", "larder list shows what is there"},
    {"BAD_URI", "an endpoint reads uds:///run/larder, for example"},
    {"CONNECTION_LOST", "run it again once the agent is back"},
    {"STOPPING", "run it again once the agent is back"},
    {"DIGEST_MISMATCH", "check the source, or the digest that was given"},
    {"CREATING", "wait for the other client, or give a longer --timeout"},
    {"LEASE_LOST", "run it again"},
    {"ACK_IMPOSSIBLE", "leave --ack out"},
}};

}  // namespace

std::string FailureLine(const absl::Status& status) {
  std::string line = "larder: " + Printable(base::Message(status));
  if (line.ends_with(')')) return line;
  const std::string reason = base::Reason(status);
  const auto hint = std::find_if(kHints.begin(), kHints.end(), [&](const Hint& h) { return h.reason == reason; });
  return hint == kHints.end() ? line : fmt::format("{} ({})", line, hint->what_to_do);
}

void Tell(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);  // fmt::print would throw
}

int ExitCode(const absl::Status& status) { return base::ErrorRowOf(status.code()).exit_code; }

absl::Status LocalFileError(const absl::Status& status) {
  if (status.ok() || status.code() == absl::StatusCode::kResourceExhausted) return status;
  return base::MakeError(absl::StatusCode::kInvalidArgument, base::Reason(status), base::Message(status));
}

std::string Printable(std::string_view text) {
  std::string printable;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      printable += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      printable += fmt::format("\\x{:02x}", byte);
    } else {
      printable += c;
    }
  }
  return printable;
}

}  // namespace larder::cli
