// A client that takes something of the agent's, says so, and waits to be killed: victim ENDPOINT MODE KEY, where MODE
// is buffer or write (a creation, half done) or get (a mapped object).
#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "larder/client/client.h"

namespace {

using larder::base::kMiB;

absl::Status Take(const std::string& endpoint, std::string_view mode, const std::string& key) {
  LARDER_ASSIGN_OR_RETURN(const auto client, larder::client::Client::Connect(endpoint));
  std::unique_ptr<larder::object::ObjectReader> reader;
  std::unique_ptr<larder::object::ObjectWriter> writer;
  uint64_t sum = 0;
  if (mode == "get") {
    LARDER_ASSIGN_OR_RETURN(reader, client->Get(key));
    const auto bytes = reader->Bytes();
    if (!bytes) return absl::InternalError("the object is not mapped");
    for (const std::byte byte : *bytes) sum += static_cast<uint64_t>(byte);
  } else {
    LARDER_ASSIGN_OR_RETURN(writer, client->Create({.key = key, .size_hint = 4 * kMiB}));
    const std::string bytes(2 * kMiB, 'v');
    if (mode == "write") {
      LARDER_RETURN_IF_ERROR(writer->Write(larder::base::AsBytes(bytes)));
    } else {
      LARDER_ASSIGN_OR_RETURN(const larder::base::MutableByteSpan buffer, writer->Buffer(4 * kMiB));
      std::copy_n(larder::base::AsBytes(bytes).begin(), bytes.size(), buffer.begin());
    }
  }
  const std::string ready = fmt::format("ready {}\n", sum);
  char none = 0;
  if (::write(STDOUT_FILENO, ready.data(), ready.size()) < 0 || ::read(STDIN_FILENO, &none, 1) < 0) {
    return larder::base::ErrnoError(errno, "speak with the test");
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const absl::Status taken = Take(argv[1], argv[2], argv[3]);
  if (taken.ok()) return 0;
  fmt::print("failed: {}\n", larder::base::Message(taken));
  return 1;
}
